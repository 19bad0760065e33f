package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// bridgeName is the bridge's, outside of the containers.
const bridgeName = "case"

// Network is a bridge in the network namespace that it was made in, and a
// namespace for each container, which outlives the container's restarts.
type Network struct {
	Names
	links  *netlink.Handle // of the bridge's namespace
	bridge *netlink.Bridge
	ports  map[string]*port
}

// port is what ties a container to the bridge.
type port struct {
	space netns.NsHandle
	end   netlink.Link // the bridge's end of the cable
}

// New makes the bridge and the namespaces of all containers. Programs are
// names that stand for the namespace of the caller, who must be allowed to
// change its network: capabilities(7), CAP_NET_ADMIN and CAP_SYS_ADMIN.
func New(programs, containers []string) (_ *Network, err error) {
	n := &Network{ports: map[string]*port{}, bridge: &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridgeName}}}
	if n.Names, err = name(programs, containers); err != nil {
		return nil, err
	}
	if n.links, err = netlink.NewHandle(); err != nil {
		return nil, fmt.Errorf("make a network: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	if err := n.links.LinkAdd(n.bridge); err != nil {
		return nil, fmt.Errorf("make a bridge (the kernel's module bridge): %w", err)
	}
	if err := up(n.links, n.bridge, netip.MustParseAddr(bridgeIP)); err != nil {
		return nil, fmt.Errorf("bridge %s: %w", bridgeName, err)
	}
	for i, c := range containers {
		if err := n.plug(c, fmt.Sprintf("%s-%d", bridgeName, i)); err != nil {
			return nil, fmt.Errorf("network of container %s: %w", c, err)
		}
	}
	return n, nil
}

// plug makes a namespace whose eth0 is at the bridge: veth(4).
func (n *Network) plug(container, end string) error {
	space, err := namespace()
	if err != nil {
		return err
	}
	p := &port{space: space}
	n.ports[container] = p
	cable := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: end, MasterIndex: n.bridge.Index},
		PeerName:  "eth0", PeerNamespace: netlink.NsFd(space),
	}
	if err := n.links.LinkAdd(cable); err != nil {
		return fmt.Errorf("make a cable (the kernel's module veth): %w", err)
	}
	p.end = cable
	if err := n.links.LinkSetUp(cable); err != nil {
		return err
	}
	inside, err := netlink.NewHandleAt(space)
	if err != nil {
		return err
	}
	defer inside.Close()
	for name, address := range map[string]netip.Addr{"lo": {}, "eth0": n.address(container)} {
		link, err := inside.LinkByName(name)
		if err != nil {
			return err
		}
		if err := up(inside, link, address); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// up gives an interface its address, unless that is none, and brings it up.
func up(links *netlink.Handle, link netlink.Link, address netip.Addr) error {
	if address.IsValid() {
		block := &net.IPNet{IP: address.AsSlice(), Mask: net.CIDRMask(prefixBits, 32)}
		if err := links.AddrAdd(link, &netlink.Addr{IPNet: block}); err != nil {
			return err
		}
	}
	return links.LinkSetUp(link)
}

// namespace makes a network namespace and comes back to the one before. A
// thread that cannot come back is given up.
func namespace() (netns.NsHandle, error) {
	type made struct {
		space netns.NsHandle
		err   error
	}
	out := make(chan made)
	go func() {
		runtime.LockOSThread()
		here, err := netns.Get()
		if err != nil {
			runtime.UnlockOSThread()
			out <- made{err: err}
			return
		}
		defer here.Close()
		space, err := netns.New()
		if back := netns.Set(here); back != nil {
			err = errors.Join(err, back)
		} else {
			runtime.UnlockOSThread()
		}
		out <- made{space, err}
	}()
	got := <-out
	return got.space, got.err
}

// Path is where a runtime finds the namespace of a container, as long as this
// process has it open.
func (n *Network) Path(container string) string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.ports[container].space)
}

// Cut takes the container off the network: nothing reaches it, and it reaches
// nothing but itself, as if its cable were pulled.
func (n *Network) Cut(container string) error { return n.links.LinkSetDown(n.ports[container].end) }

// Heal ends what Cut has begun.
func (n *Network) Heal(container string) error { return n.links.LinkSetUp(n.ports[container].end) }

// Close takes everything away again.
func (n *Network) Close() error {
	var err error
	for _, p := range n.ports {
		if p.end != nil {
			err = errors.Join(err, n.links.LinkDel(p.end)) // and the other end
		}
		err = errors.Join(err, p.space.Close())
	}
	if n.bridge.Index > 0 {
		err = errors.Join(err, n.links.LinkDel(n.bridge))
	}
	n.links.Close()
	return err
}
