package network

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	names, err := name([]string{"etcd"}, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(names.File()), "127.0.0.1 localhost\n10.10.10.1 etcd\n10.10.10.2 a\n10.10.10.3 b\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for host, want := range map[string]string{"b": "10.10.10.3", "etcd": "10.10.10.1", "c": "c", "127.0.0.1": "127.0.0.1"} {
		if got, err := names.Lookup(t.Context(), host); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v, %v, want %s", host, got, err, want)
		}
	}
	var many []string
	for i := range 253 {
		many = append(many, fmt.Sprint("c", i))
	}
	if _, err := name(nil, many); err != nil {
		t.Error(err)
	}
	if _, err := name(nil, append(many, "more")); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("254 containers: %v", err)
	}
}

// A name of the case leads to its address, and the zero value to the system's.
func TestDial(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "hello")
			c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	here, err := name(nil, []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	here.hosts[0].address = netip.MustParseAddr("127.0.0.1")
	for _, test := range []struct {
		names Names
		host  string
	}{{Names{}, "127.0.0.1"}, {here, "a"}} {
		c, err := test.names.Dial(t.Context(), "tcp", net.JoinHostPort(test.host, port))
		if err != nil {
			t.Error(err)
			continue
		}
		if said, err := io.ReadAll(c); err != nil || string(said) != "hello" {
			t.Errorf("%q, %v", said, err)
		}
		c.Close()
	}
}
