// Package progress carries what long work says of itself, so that a command
// line can draw it without the work knowing how.
package progress

// Task is one running piece of work. Methods may be called from any
// goroutine; a Task whose Total is not known reports zero.
type Task interface {
	// Total sets the number of bytes that will be done.
	Total(bytes int64)
	// Add says that so many more bytes are done.
	Add(bytes int64)
	// Done ends the task; err is nil where it succeeded.
	Done(err error)
}

// Sink receives tasks and messages.
type Sink interface {
	// Start begins a task: a verb (fetch, unpack, compress, push) and the
	// thing it works on.
	Start(verb, subject string) Task
	// Say is one line for the user.
	Say(format string, args ...any)
}

// Discard is a Sink that shows nothing.
type Discard struct{}

// Start returns a task that shows nothing.
func (Discard) Start(string, string) Task { return quiet{} }

// Say says nothing.
func (Discard) Say(string, ...any) {}

type quiet struct{}

func (quiet) Total(int64) {}
func (quiet) Add(int64)   {}
func (quiet) Done(error)  {}
