// Package trial holds images to their contracts, inside a sandbox: it unpacks
// them, looks at what they hold, starts them as their users would, and writes
// down what it saw. Nothing of an image is trusted on the host.
package trial

import (
	"encoding/json"
	"time"

	"github.com/shudl/shudl-assemble/layers/contract/container"
	"github.com/shudl/shudl-assemble/layers/contract/sandbox"
	"github.com/shudl/shudl-assemble/layers/contract/unpack"
	"github.com/shudl/shudl-assemble/recipes"
)

// Job is what a sandbox is asked to do.
type Job struct {
	Work    string // a private folder, empty at the beginning and at the end
	Runtime container.Runtime
	IDs     sandbox.IDs
	Arch    string // of the machine, as Go names it
	// Images are those under test and those that help them.
	Images    []Image
	Contracts []*recipes.Contract // in this order
	// Helpers are the contracts of all images, which say how long each may
	// take to start and stop.
	Helpers []*recipes.Contract
}

// Image is an image with the files of its layers.
type Image struct {
	Ref       recipes.Ref
	Reference string // where it came from, for people
	Digest    string // sha256:… of its manifest
	Config    Config
	Layers    []unpack.Layer
	Budget    int64 // bytes of compressed layers; 0 means none
}

// Size is what its layers weigh compressed, in bytes.
func (i Image) Size() int64 {
	var sum int64
	for _, l := range i.Layers {
		sum += l.Size
	}
	return sum
}

// Config is what an image says of how it runs.
type Config struct {
	User       string
	Entrypoint []string
	Cmd        []string
	Env        []string
	WorkingDir string
	StopSignal string
	Volumes    map[string]struct{}
	// Healthcheck is Docker's; durations in nanoseconds.
	Healthcheck *struct {
		Test    []string
		Timeout time.Duration
	}
}

// ParseConfig reads an OCI image configuration.
func ParseConfig(data []byte) (Config, error) {
	var c struct{ Config Config }
	err := json.Unmarshal(data, &c)
	return c.Config, err
}

// Report is what was seen of one image, or of a stack, whose images are its
// parts.
type Report struct {
	Image     string        `json:"image"`
	Reference string        `json:"reference"`
	Digest    string        `json:"digest"`
	Contract  string        `json:"contract"` // its file
	SHA256    string        `json:"contractSha256"`
	Runtime   string        `json:"runtime"`
	IDs       string        `json:"ids"`
	Checks    []Check       `json:"checks"`
	NotShown  []string      `json:"notShown,omitempty"`
	Stack     bool          `json:"stack,omitempty"`
	Parts     []Part        `json:"parts,omitempty"`           // of a stack, in the order of its containers
	Boot      time.Duration `json:"bootNanoseconds,omitempty"` // until its own health check succeeded
	Memory    int64         `json:"peakMemoryBytes,omitempty"` // most of one container, sampled
	Stop      time.Duration `json:"stopNanoseconds,omitempty"` // longest of its stops
	Size      int64         `json:"sizeBytes"`                 // compressed layers
	Budget    int64         `json:"budgetBytes,omitempty"`
	Took      time.Duration `json:"tookNanoseconds"`
	Outages   []Outage      `json:"writesStopped,omitempty"`
	Rows      int           `json:"acknowledgedRowsKept,omitempty"`
}

// Outage is how long no write was acknowledged around an event.
type Outage struct {
	Event string        `json:"event"`
	Took  time.Duration `json:"nanoseconds"`
}

// Part is one container of a stack.
type Part struct {
	Container string        `json:"container"`
	Image     string        `json:"image"`
	Reference string        `json:"reference"`
	Digest    string        `json:"digest"`
	Boot      time.Duration `json:"bootNanoseconds,omitempty"` // its first, until its own health check succeeded
	Memory    int64         `json:"peakMemoryBytes,omitempty"`
}

// part finds the part of a container, and makes one where there is none.
func (r *Report) part(name string, image *root) *Part {
	for i := range r.Parts {
		if r.Parts[i].Container == name {
			return &r.Parts[i]
		}
	}
	r.Parts = append(r.Parts, Part{Container: name, Image: image.Ref.String(), Reference: image.Reference, Digest: image.Digest})
	return &r.Parts[len(r.Parts)-1]
}

// Check is one thing that the contract says, and whether it holds.
type Check struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Found string `json:"found,omitempty"` // where it does not hold
	Log   string `json:"log,omitempty"`   // last lines of the containers
	// Took is how long a step of a stack took.
	Took time.Duration `json:"tookNanoseconds,omitempty"`
}

// Met says whether all checks hold.
func (r Report) Met() bool { return r.Failed() == 0 && len(r.Checks) > 0 }

// Failed counts the checks that do not hold.
func (r Report) Failed() int {
	n := 0
	for _, c := range r.Checks {
		if !c.OK {
			n++
		}
	}
	return n
}

// Event is one line that a sandbox says.
type Event struct {
	Start   int     `json:"start,omitempty"` // a task begins; its number
	Done    int     `json:"done,omitempty"`  // a task ends
	Verb    string  `json:"verb,omitempty"`
	Subject string  `json:"subject,omitempty"`
	Error   string  `json:"error,omitempty"` // of a task, or of all where it is no task's
	Report  *Report `json:"report,omitempty"`
}
