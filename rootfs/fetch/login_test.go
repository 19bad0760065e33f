package fetch

import (
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

const canary = "c4nary+s3cret/%"

// Every way in which a mirror can fail, with credentials in its address, in
// netrc and in a query: none of them may show up anywhere.
func TestCredentialsNeverShow(t *testing.T) {
	dir := t.TempDir()
	body := content(1_000)
	answers := map[string]http.HandlerFunc{
		"404": status(404), "401": status(401), "wrong": serve("wrong"), "cut": cut(body, 10),
		"redirect to nowhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://user:"+url.QueryEscape(canary)+"@127.0.0.1:1/x?token="+url.QueryEscape(canary), http.StatusFound)
		},
		"redirect without end": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) },
		"no HTTP": func(w http.ResponseWriter, r *http.Request) {
			c, _, _ := w.(http.Hijacker).Hijack()
			io.WriteString(c, canary+"\n")
			c.Close()
		},
	}
	for name, handle := range answers {
		t.Run(name, func(t *testing.T) {
			m := newMirror(t, handle)
			u, _ := url.Parse(m.URL)
			netrc := filepath.Join(dir, "netrc")
			writeFile(t, netrc, []byte("machine "+u.Host+" login other password "+canary+"\n"))
			sink := &said{}
			f := fetcher(t)
			t.Setenv("NETRC", netrc)
			u.User = url.UserPassword("user", canary)
			u.Path = "/base"
			f.Mirrors = Mirrors{Maven: {u.String(), m.URL}}
			f.Progress = sink
			err := f.Artifact(t.Context(), artifact(body))
			if err == nil {
				t.Fatal("no error")
			}
			_, urlErr := f.Get(t.Context(), Request{URL: u.String() + "/x?token=" + url.QueryEscape(canary)})
			if urlErr == nil && name != "wrong" && name != "cut" {
				t.Fatal("no error")
			}
			text := err.Error() + sink.String()
			if urlErr != nil {
				text += urlErr.Error()
			}
			for _, secret := range []string{canary, "c4nary", url.QueryEscape(canary), url.PathEscape(canary)} {
				if strings.Contains(text, secret) {
					t.Errorf("%q shows in:\n%s", secret, text)
				}
			}
			if got, pass, ok := m.requests[0].BasicAuth(); !ok || got != "user" || pass != canary {
				t.Errorf("the mirror itself got %q, %q", got, pass)
			}
		})
	}
}

func TestRedirectsDoNotCarryCredentials(t *testing.T) {
	body := content(100)
	var got []string
	other := newMirror(t, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Authorization")+r.Header.Get("Referer"))
		serve(body)(w, r)
	})
	// The same host by name, another port: the standard library passes
	// credentials on.
	first := newMirror(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL+"/file", http.StatusFound) })
	u, _ := url.Parse(first.URL)
	u.User = url.UserPassword("user", canary)
	f := fetcher(t, u.String())
	if err := f.Artifact(t.Context(), artifact(body)); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0] != "" {
		t.Errorf("the other host got %q", got)
	}
}

func TestNetrc(t *testing.T) {
	list := parseNetrc("# comment\nmachine one login a password b\nmacdef init\nmachine no login x\n\n" +
		"machine two:8080\n  login c\n  password d\nmachine three/debian login e password f\n" +
		"machine http://four/x login g password h\ndefault login i password j\n")
	l := logins{list}
	for address, want := range map[string]string{
		"http://one/x": "a", "https://one:99/": "a", "http://no/": "", "http://two:8080/": "c", "http://two/": "",
		"https://three/debian/pool": "e", "https://three/other": "", "http://three/debian": "",
		"http://four/x/y": "g", "https://four/x": "", "http://five/": "",
	} {
		req, err := http.NewRequest(http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		l.apply(req)
		if got, _, _ := req.BasicAuth(); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}

func FuzzNetrc(f *testing.F) {
	f.Add("machine one login a password b")
	f.Add("macdef\n\nlogin")
	f.Fuzz(func(t *testing.T, content string) {
		for _, l := range parseNetrc(content) {
			if l.machine == "" {
				t.Error("a login without a machine")
			}
		}
	})
}

func TestCleanURL(t *testing.T) {
	for address, want := range map[string]string{
		"https://u:p@host/a?k=v#f": "https://host/a?…",
		"https://token@host":       "https://host",
		"https://host/a b":         "https://host/a%20b",
		"http://[bad":              "(an address that does not parse)",
	} {
		if got := CleanURL(address); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}
