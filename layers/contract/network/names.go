// Package network gives each container of a case a network interface of its
// own, on a bridge that exists in the sandbox alone, so that one of them can
// be cut from all others.
package network

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// The addresses are private ones (RFC 1918). They exist in the sandbox, which
// has no way out, so that they may be the same in every case.
const (
	prefixBits = 24
	bridgeIP   = "10.10.10.1"
)

// host is a name and its address.
type host struct {
	name    string
	address netip.Addr
}

// Names are the hosts of a case. The zero value knows none, and leaves every
// name to the system.
type Names struct{ hosts []host }

// name gives all programs the bridge's address, where they run, and each
// container the next one.
func name(programs, containers []string) (Names, error) {
	var n Names
	at := netip.MustParseAddr(bridgeIP)
	for _, p := range programs {
		n.hosts = append(n.hosts, host{p, at})
	}
	block := netip.PrefixFrom(at, prefixBits)
	for _, c := range containers {
		if at = at.Next(); !block.Contains(at.Next()) {
			return n, fmt.Errorf("%d containers are too many for one network", len(containers))
		}
		n.hosts = append(n.hosts, host{c, at})
	}
	return n, nil
}

// File is the hosts(5) of a container.
func (n Names) File() []byte {
	var b strings.Builder
	b.WriteString("127.0.0.1 localhost\n")
	for _, h := range n.hosts {
		fmt.Fprintf(&b, "%s %s\n", h.address, h.name)
	}
	return []byte(b.String())
}

// Lookup gives the address of a host of the case, and any other name as it is.
func (n Names) Lookup(_ context.Context, name string) ([]string, error) {
	for _, h := range n.hosts {
		if h.name == name {
			return []string{h.address.String()}, nil
		}
	}
	return []string{name}, nil
}

// Dial connects from the sandbox's own network to a host of the case.
func (n Names) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	found, err := n.Lookup(ctx, name)
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(found[0], port))
}

// address is that of a container.
func (n Names) address(name string) netip.Addr {
	for _, h := range n.hosts {
		if h.name == name {
			return h.address
		}
	}
	return netip.Addr{}
}
