package resolve

import "sync"

// memo does each piece of work once: the same jar serves several platforms,
// the same package several images.
type memo struct {
	mu   sync.Mutex
	done map[string]*outcome
}

type outcome struct {
	once  sync.Once
	value any
	err   error
}

// once gives the outcome of work under a key, whoever did it.
func once[T any](m *memo, key string, work func() (T, error)) (T, error) {
	m.mu.Lock()
	if m.done == nil {
		m.done = map[string]*outcome{}
	}
	o := m.done[key]
	if o == nil {
		o = new(outcome)
		m.done[key] = o
	}
	m.mu.Unlock()
	o.once.Do(func() { o.value, o.err = work() })
	value, _ := o.value.(T)
	return value, o.err
}
