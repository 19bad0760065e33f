package fetch

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// login is a name and password for one host.
type login struct {
	machine  string // host or host:port, and a path for apt's entries
	user     string
	password string
}

// logins are the credentials of the machine's own client settings: netrc, and
// apt's auth.conf.
type logins struct{ list []login }

// read fills the list from the files that can be read.
func (l *logins) read() {
	var files []string
	if path := os.Getenv("NETRC"); path != "" {
		files = append(files, path)
	} else if home, err := os.UserHomeDir(); err == nil {
		files = append(files, filepath.Join(home, ".netrc"))
	}
	files = append(files, "/etc/apt/auth.conf")
	more, _ := filepath.Glob("/etc/apt/auth.conf.d/*.conf")
	for _, path := range append(files, more...) {
		if content, err := os.ReadFile(path); err == nil {
			l.list = append(l.list, parseNetrc(string(content))...)
		}
	}
}

// parseNetrc reads the netrc format (macros are skipped) in which apt keeps
// its auth.conf too.
func parseNetrc(content string) []login {
	var list []login
	inMacro := false
	for line := range strings.Lines(content) {
		line = strings.TrimSpace(line)
		if inMacro {
			inMacro = line != ""
			continue
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		words := strings.Fields(line)
		for i := 0; i < len(words); i++ {
			if words[i] == "default" {
				list = append(list, login{machine: "default"})
				continue
			}
			if words[i] == "macdef" {
				inMacro = true
				break
			}
			if i+1 >= len(words) {
				break
			}
			value := words[i+1]
			switch {
			case words[i] == "machine":
				list = append(list, login{machine: value})
			case len(list) == 0:
			case words[i] == "login":
				list[len(list)-1].user = value
			case words[i] == "password":
				list[len(list)-1].password = value
			}
			i++
		}
	}
	return list
}

// apply puts the credentials on a request: those of its address, or those of
// the host. Never by netrc's default entry: it would go to every mirror.
func (l *logins) apply(req *http.Request) {
	if u := req.URL.User; u != nil {
		password, _ := u.Password()
		req.SetBasicAuth(u.Username(), password)
		req.URL.User = nil
		return
	}
	for _, entry := range l.list {
		if entry.matches(req.URL) {
			req.SetBasicAuth(entry.user, entry.password)
			return
		}
	}
}

func (e login) matches(u *url.URL) bool {
	machine := e.machine
	if scheme, rest, ok := strings.Cut(machine, "://"); ok {
		if scheme != u.Scheme {
			return false
		}
		machine = rest
	} else if u.Scheme != "https" && strings.Contains(machine, "/") {
		return false // apt sends such an entry over https only
	}
	host, folder, _ := strings.Cut(machine, "/")
	if host != u.Host && host != u.Hostname() {
		return false
	}
	return folder == "" || strings.HasPrefix(u.Path, "/"+folder)
}

// redact takes the address out of an HTTP error, and every secret that this
// fetcher knows out of its text.
func (l *logins) redact(err error, u *url.URL) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	text := err.Error()
	safe := text
	for _, secret := range l.secrets(u) {
		safe = strings.ReplaceAll(safe, secret, "xxxxx")
	}
	if safe == text {
		return err
	}
	return &redacted{text: safe, err: err}
}

func (l *logins) secrets(u *url.URL) []string {
	var list []string
	if password, ok := u.User.Password(); ok && password != "" {
		list = append(list, password, url.QueryEscape(password), url.PathEscape(password))
	}
	if name := u.User.Username(); name != "" && len(list) == 0 {
		list = append(list, name) // a token stands where the name would
	}
	for _, entry := range l.list {
		if entry.password != "" {
			list = append(list, entry.password)
		}
	}
	return list
}

// redacted keeps what an error is, and hides what its text said.
type redacted struct {
	text string
	err  error
}

func (r *redacted) Error() string        { return r.text }
func (r *redacted) Is(target error) bool { return errors.Is(r.err, target) }

// CleanURL writes an address without user, password, query and fragment,
// which may all carry a secret.
func CleanURL(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "(an address that does not parse)"
	}
	return clean(u)
}

func clean(u *url.URL) string {
	c := *u
	c.User = nil
	if c.RawQuery != "" {
		c.RawQuery = "…"
	}
	c.Fragment, c.RawFragment = "", ""
	return c.String()
}
