package trial

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/shudl/shudl-assemble/layers/contract/become"
	"github.com/shudl/shudl-assemble/layers/contract/container"
	"github.com/shudl/shudl-assemble/layers/contract/sandbox"
	"github.com/shudl/shudl-assemble/recipes"
)

// member makes a container ready to start: its image unpacked, its volumes and
// files in place.
func (l *life) member(ctx context.Context, c recipes.Container) (*member, error) {
	ref := c.Image
	if ref == (recipes.Ref{}) {
		ref = l.contract.Ref
	}
	image, err := l.root(ctx, ref)
	if err != nil {
		return nil, err
	}
	m := &member{Container: c, life: l, image: image}
	for _, one := range l.Helpers {
		if one.Ref == ref {
			m.contract = one
		}
	}
	if m.contract == nil {
		return nil, fmt.Errorf("image %s has no contract", ref)
	}
	if err := m.mountAll(); err != nil {
		return nil, fmt.Errorf("container %s: %w", c.Name, err)
	}
	if err := m.makePoints(); err != nil {
		return nil, fmt.Errorf("container %s: %w", c.Name, err)
	}
	return m, nil
}

// mountAll makes the files and volumes of a container on the host.
func (m *member) mountAll() error {
	dir := filepath.Join(m.life.dir, "files-"+m.Name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	add := func(target string, content []byte, mode uint32) error {
		source := filepath.Join(dir, strconv.Itoa(len(m.mounts)))
		m.mounts = append(m.mounts, container.Mount{Source: source, Target: target, ReadOnly: true})
		if err := os.WriteFile(source, content, 0o600); err != nil {
			return err
		}
		return os.Chmod(source, os.FileMode(mode))
	}
	for _, v := range m.volumes() {
		if err := m.mountVolume(v); err != nil {
			return err
		}
	}
	for _, f := range m.Files {
		content, err := packed(f)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
		if err := add(f.Path, content, f.Mode); err != nil {
			return err
		}
	}
	if m.life.Authority != nil {
		if err := add(m.life.Authority.File, m.life.ca, 0o644); err != nil {
			return err
		}
	}
	hosts := fmt.Appendf(nil, "127.0.0.1 localhost %s\n", m.Name)
	if m.life.net != nil {
		hosts = m.life.names.File()
	}
	if err := add("/etc/hosts", hosts, 0o644); err != nil {
		return err
	}
	return add("/etc/resolv.conf", []byte("nameserver 127.0.0.1\n"), 0o644)
}

// volumes are those of the image, with what the contract says of them, and
// those that the contract adds.
func (m *member) volumes() []recipes.Volume {
	out := slices.Clone(m.Volumes)
	for path := range m.image.Config.Volumes {
		if !slices.ContainsFunc(out, func(v recipes.Volume) bool { return v.Path == path }) {
			out = append(out, recipes.Volume{Path: path})
		}
	}
	slices.SortFunc(out, func(a, b recipes.Volume) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// mountVolume makes a fresh folder, as a container engine does: with owner and
// mode of the folder in the image.
func (m *member) mountVolume(v recipes.Volume) error {
	name := v.Name
	if name == "" {
		name = "of-" + m.Name + strings.ReplaceAll(v.Path, "/", "-")
	}
	dir := filepath.Join(m.life.dir, "volume-"+name)
	m.mounts = append(m.mounts, container.Mount{Source: dir, Target: v.Path})
	if exists(dir) {
		return nil
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	uid, gid, mode := 0, 0, uint32(0o755)
	if e, ok := m.image.tree[strings.TrimPrefix(v.Path, "/")]; ok {
		uid, gid, mode = e.UID, e.GID, e.Mode
	}
	if v.Owner != "" {
		var err error
		if uid, gid, err = ids(v.Owner); err != nil {
			return err
		}
	}
	if v.Mode != 0 {
		mode = v.Mode
	}
	if m.life.shows() {
		if err := os.Chown(dir, uid, gid); err != nil {
			return err
		}
	}
	permissions := os.FileMode(mode & 0o777)
	if mode&0o1000 != 0 {
		permissions |= os.ModeSticky
	}
	return os.Chmod(dir, permissions)
}

// spec is how the container is started, with other arguments where cmd is not
// nil.
func (m *member) spec(cmd []string) (container.Spec, error) {
	uid, gid, err := ids(m.user())
	if err != nil {
		return container.Spec{}, unmetf("the image's user: %v", err)
	}
	config := m.image.Config
	if cmd == nil {
		cmd = config.Cmd
	}
	dir := config.WorkingDir
	if dir == "" {
		dir = "/"
	}
	s := container.Spec{
		ID: fmt.Sprintf("%s-%s-%d", filepath.Base(m.life.Work), m.Name, m.runs), Name: m.Name, Root: m.image.dir, Mounts: m.mounts, Userns: m.life.IDs != sandbox.AllIDs, Files: limitFiles(),
		Process: container.Process{
			Args: append(slices.Clone(config.Entrypoint), cmd...), Env: m.env(uid), Dir: dir,
			UID: uint32(uid), GID: uint32(gid), Capabilities: m.Capabilities,
		},
	}
	if m.life.net != nil {
		s.Network = m.life.net.Path(m.Name)
	}
	if m.life.IDs == sandbox.OneID {
		s.Become, err = m.life.become(uid, gid)
	}
	return s, err
}

// env is the image's, with the contract's variables, and a home.
func (m *member) env(uid int) []string {
	env := merge(m.image.Config.Env, m.Env)
	if !slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "HOME=") }) {
		env = append(env, "HOME="+m.image.home(uid))
	}
	return env
}

// merge sets variables, each in the place that it has.
func merge(env []string, set []recipes.Variable) []string {
	out := slices.Clone(env)
	for _, v := range set {
		at := slices.IndexFunc(out, func(have string) bool { return strings.HasPrefix(have, v.Name+"=") })
		if at < 0 {
			out = append(out, "")
			at = len(out) - 1
		}
		out[at] = v.Name + "=" + v.Value
	}
	return out
}

// home is the home of a user as the image's passwd(5) has it, else the root.
func (r *root) home(uid int) string {
	dir, err := os.OpenRoot(r.dir)
	if err != nil {
		return "/"
	}
	defer dir.Close()
	data, err := dir.ReadFile("etc/passwd")
	if err != nil {
		return "/"
	}
	for line := range strings.Lines(string(data)) {
		if fields := strings.Split(strings.TrimSpace(line), ":"); len(fields) == 7 && fields[2] == strconv.Itoa(uid) {
			return fields[5]
		}
	}
	return "/"
}

// become writes the program that turns the only user into another.
func (l *life) become(uid, gid int) (string, error) {
	file := filepath.Join(l.dir, fmt.Sprintf("become-%d-%d", uid, gid))
	if exists(file) {
		return file, nil
	}
	program, err := become.Program(l.Arch, uid, gid)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(file, program, 0o700); err != nil {
		return "", err
	}
	return file, os.Chmod(file, 0o755)
}

// ids reads UID:GID.
func ids(user string) (uid, gid int, err error) {
	first, second, ok := strings.Cut(user, ":")
	if ok {
		if uid, err = strconv.Atoi(first); err == nil {
			gid, err = strconv.Atoi(second)
		}
	}
	if !ok || err != nil {
		return 0, 0, fmt.Errorf("user %q: want UID:GID in numbers", user)
	}
	return uid, gid, nil
}
