package recipes

import (
	"fmt"
	"regexp"
	"time"
)

// Contract is what an image is held to when it is started: its test.yaml,
// made concrete for one stream, distro and platform. It is no part of the
// recipe's digest, since it changes no byte of the image.
type Contract struct {
	Ref Ref
	// Stack says that it is no image's: Ref names the stack, every container
	// its image, and what stands below of one image is empty.
	Stack    bool
	Summary  string // of a stack
	Distro   Distro
	Platform Platform
	// Source is the file as errors name it, SHA256 the digest of its bytes.
	Source string
	SHA256 Digest

	// User is the UID:GID that the image runs as.
	User string
	// Healthy is how long the first start may take until the image's own
	// health check succeeds; Stop how long the stop signal may take.
	Healthy, Stop time.Duration
	// Writable are the world-writable folders that the image may have beside
	// its temporary ones, as absolute paths.
	Writable []string
	Cases    []Case
}

// Case is one life of an image: containers from fresh volumes, and what is
// done to them in turn. At its end all that still run are stopped.
type Case struct {
	Name string
	// Programs are programs of the host that the containers need.
	Programs []Program
	// Separate says that each container has a network of its own, in which
	// containers and programs are known by name; otherwise all of them share
	// one loopback.
	Separate bool
	// Authority, where it is set, is a certificate authority that nobody
	// trusts and an HTTPS server whose certificate it signed.
	Authority *Authority
	// Containers start in this order, before the steps; one that a step
	// starts waits for that.
	Containers []Container
	Steps      []Step
	Pos        Position
}

// Program is a program of the host, run beside the containers.
type Program struct {
	Name string
	Args []string
	// Ready is a URL that answers with 200 once the program is up.
	Ready string
	// Install says how to get a program that is missing.
	Install string
}

// Authority is an HTTPS server at localhost:Port. The PEM of the authority is
// mounted at File in every container of the case.
type Authority struct {
	Port int
	File string
}

// Container is one container of a case.
type Container struct {
	Name string
	// Image is another image that helps; the zero value is the image itself.
	Image        Ref
	Env          []Variable
	Cmd          []string // nil means the image's own
	User         string   // UID:GID; empty means the image's own
	Capabilities []string
	Files        []MountedFile
	// Volumes name or change the image's volumes, or add to them.
	Volumes []Volume
	// Exits, where it is set, is the status that the container ends with by
	// itself; starting it waits for that.
	Exits *int
	// Stop is how long the stop signal may take here; zero means what the
	// image's own contract says.
	Stop time.Duration
	// Says is what its log must hold by then.
	Says []*regexp.Regexp
	// JSON says that every line of the log is a JSON object, except those
	// that Plain matches, each with a reason.
	JSON  bool
	Plain []PlainLine
	Pos   Position
}

// PlainLine is a line of a JSON log that may be none.
type PlainLine struct {
	Line   *regexp.Regexp
	Reason string
}

// MountedFile is a file that a container finds, read-only.
type MountedFile struct {
	Path     string // absolute
	Content  string
	Compress string // gzip, xz or zstd; empty means as it is
	Mode     uint32
}

// Volume is a folder that outlives a restart. Containers that name the same
// one share it.
type Volume struct {
	Path string // absolute
	Name string // empty means the container's own
	// Owner and Mode are those of the fresh folder; empty and zero mean those
	// of the folder in the image.
	Owner string
	Mode  uint32
}

// Action is what a step does.
type Action string

// The actions.
const (
	Run     Action = "run"     // a command inside a container, as its user
	HTTP    Action = "http"    // a request from outside
	Metrics Action = "metrics" // a request whose answer is Prometheus text
	Says    Action = "says"    // the log holds a line
	Start   Action = "start"
	Stop    Action = "stop"
	Restart Action = "restart" // a new container on the same volumes
	Kill    Action = "kill"    // all processes of a container at once, by SIGKILL; start brings it back
	Cut     Action = "cut"     // nothing reaches a container, and it reaches nobody
	Heal    Action = "heal"    // the end of that
	Writes  Action = "writes"  // rows are written in the background from here on
	Resumed Action = "resumed" // they are acknowledged again; how long they were not is reported
	Kept    Action = "kept"    // writing ends, and every acknowledged row is there; more than one asks several servers
)

// Step is one action and what must come of it.
type Step struct {
	Name string
	Do   Action
	In   string // the container
	// Args are the command of run, and the arguments after restart.
	Args []string
	Env  []Variable

	// URL is HTTP's, or PostgreSQL's for writes and kept.
	URL, Method, Data string
	Headers           []Variable

	// Status is the exit status of run, 0 by default, or HTTP's, 200.
	Status int
	// Prints is the whole answer, without its last line ends; Matches a
	// pattern in it; JSON values in it, by path.
	Prints  *string
	Matches *regexp.Regexp
	JSON    []Variable
	// Has are the metric families that must be there.
	Has []string
	// Within is how long the step is tried again; zero means once, and some
	// seconds for a line of the log.
	Within time.Duration
	Pos    Position
}

// Contract gives what an image is held to.
func (s *Set) Contract(ref Ref, d Distro, p Platform) (*Contract, error) {
	image, err := s.Image(ref, d, p)
	if err != nil {
		return nil, err
	}
	c, ok := s.contracts[world{d, p}][image.Ref]
	if !ok {
		return nil, fmt.Errorf("image %s has no contract: write its recipe's test.yaml", image.Ref)
	}
	return c, nil
}

// Helpers lists the other images that a contract starts, all of them for a
// stack, without repeats, in the order of the cases.
func (c *Contract) Helpers() []Ref {
	var refs []Ref
	seen := map[Ref]bool{{}: true, c.Ref: !c.Stack}
	for _, one := range c.Cases {
		for _, container := range one.Containers {
			if !seen[container.Image] {
				seen[container.Image] = true
				refs = append(refs, container.Image)
			}
		}
	}
	return refs
}
