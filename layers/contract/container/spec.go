package container

import (
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/shudl/shudl-assemble/layers/contract/become"
)

// Spec is how a container is started: as strict as Kubernetes' restricted
// policy, with a read-only root and no capability that is not asked for.
type Spec struct {
	ID   string // on this machine, where runtimes make cgroups of that name
	Name string // of its host
	Root string // the folder of its root file system
	Process
	Mounts []Mount
	// Become, where it is set, is a program on the host that turns the only
	// user of the sandbox into the process's: see package become.
	Become string
	// Network is the path of a network namespace; empty means the sandbox's.
	Network string
	// Userns says that the sandbox is a user namespace.
	Userns bool
	// Files is the most open files that a process may have.
	Files uint64
}

// Process is a process in a container.
type Process struct {
	Args     []string
	Env      []string // NAME=VALUE
	Dir      string
	UID, GID uint32
	// Capabilities without CAP_ in front.
	Capabilities []string
}

// Mount binds a file or folder of the host.
type Mount struct {
	Source, Target string
	ReadOnly       bool
}

// BecomeAt is where the program of Spec.Become is found in a container.
const BecomeAt = "/.become"

// process is the runtime's form of a process.
func (s Spec) process(p Process) *specs.Process {
	out := &specs.Process{
		User: specs.User{UID: p.UID, GID: p.GID}, Args: p.Args, Env: p.Env, Cwd: p.Dir,
		NoNewPrivileges: true, Capabilities: capabilities(p.Capabilities),
	}
	if s.Files > 0 {
		out.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: s.Files, Hard: s.Files}}
	}
	if s.Become != "" {
		out.User = specs.User{}
		out.Args = append([]string{BecomeAt, "/usr/bin/env", "--"}, p.Args...)
		out.Capabilities = capabilities([]string{strings.TrimPrefix(become.Capability, "CAP_")})
	}
	return out
}

func capabilities(names []string) *specs.LinuxCapabilities {
	list := []string{}
	for _, name := range names {
		list = append(list, "CAP_"+name)
	}
	return &specs.LinuxCapabilities{
		Bounding: list, Effective: slices.Clone(list), Permitted: slices.Clone(list), Inheritable: []string{}, Ambient: []string{},
	}
}

// config is the runtime's configuration of the container, which shares the
// network of the sandbox unless it has one of its own:
// https://github.com/opencontainers/runtime-spec/blob/v1.0.2/config.md.
func (s Spec) config() *specs.Spec {
	c := &specs.Spec{
		Version:  "1.0.2",
		Process:  s.process(s.Process),
		Root:     &specs.Root{Path: s.Root, Readonly: true},
		Hostname: s.Name,
		Mounts:   s.mounts(),
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace}, {Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}, {Type: specs.MountNamespace},
			},
			MaskedPaths: []string{
				"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
				"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
			},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
	if s.Network != "" {
		c.Linux.Namespaces = append(c.Linux.Namespaces, specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: s.Network})
	}
	for _, m := range s.Mounts {
		c.Mounts = append(c.Mounts, bind(m))
	}
	if s.Become != "" {
		c.Mounts = append(c.Mounts, bind(Mount{Source: s.Become, Target: BecomeAt, ReadOnly: true}))
	}
	return c
}

func bind(m Mount) specs.Mount {
	mode := "rw"
	if m.ReadOnly {
		mode = "ro"
	}
	return specs.Mount{Destination: m.Target, Type: "bind", Source: m.Source, Options: []string{"rbind", "nosuid", "nodev", mode}}
}

// mounts are the file systems that every container has.
func (s Spec) mounts() []specs.Mount {
	terminals := []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}
	system := specs.Mount{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}}
	if s.Userns {
		system = specs.Mount{Destination: "/sys", Type: "none", Source: "/sys", Options: []string{"rbind", "nosuid", "noexec", "nodev", "ro"}}
	}
	if s.Become != "" {
		terminals = terminals[:len(terminals)-1] // there is no group 5
	}
	return []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc"},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: terminals},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		system,
		{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "mode=1777"}},
	}
}
