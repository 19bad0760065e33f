package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// member is a line of Patroni's GET /cluster.
type member struct {
	Name     string `json:"name"`
	Role     string `json:"role"` // leader, replica or sync_standby
	State    string `json:"state"`
	Timeline int    `json:"timeline"`
}

// state is the cluster as Patroni tells it.
type state struct {
	leader   string
	sync     string // the follower that is synchronous
	timeline int
	members  []member
}

// names are those of the pods.
func (w *world) names() []string {
	var out []string
	for n := range int(*w.cluster.set.Spec.Replicas) {
		out = append(out, fmt.Sprintf("%s-%d", w.cluster.set.Name, n))
	}
	return out
}

// answer asks the REST API of a member.
func (w *world) answer(ctx context.Context, name, path string) (int, []byte, error) {
	p, err := w.kubelet.pod(name)
	if err != nil {
		return 0, nil, err
	}
	address := p.address()
	if address == "" {
		return 0, nil, fmt.Errorf("pod %s has no address yet", name)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+":8008"+path, nil)
	if err != nil {
		return 0, nil, err
	}
	resp, err := w.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// look asks all members who leads, and the leader for the others.
func (w *world) look(ctx context.Context) (state, error) {
	var s state
	for _, name := range w.names() {
		code, _, err := w.answer(ctx, name, "/leader")
		if err != nil || code != http.StatusOK {
			continue
		}
		if s.leader != "" {
			return s, fmt.Errorf("both %s and %s say that they lead", s.leader, name)
		}
		s.leader = name
	}
	if s.leader == "" {
		return s, errors.New("no member says that it leads")
	}
	_, body, err := w.answer(ctx, s.leader, "/cluster")
	if err != nil {
		return s, err
	}
	var told struct{ Members []member }
	if err := json.Unmarshal(body, &told); err != nil {
		return s, fmt.Errorf("/cluster of %s: %w", s.leader, err)
	}
	s.members = told.Members
	for _, m := range s.members {
		switch m.Role {
		case "sync_standby":
			s.sync = m.Name
		case "leader":
			s.timeline = m.Timeline
		}
	}
	return s, nil
}

// settled waits for nothing: it says what is still missing until all pods are
// ready, one leads, and the others follow it, one of them synchronously.
func (w *world) settled(ctx context.Context) error {
	s, err := w.look(ctx)
	if err != nil {
		return err
	}
	following := 0
	for _, m := range s.members {
		if m.Name != s.leader && m.State == "streaming" && m.Timeline == s.timeline {
			following++
		}
	}
	if want := len(w.names()) - 1; following != want {
		return fmt.Errorf("%d of %d members follow %s: %+v", following, want, s.leader, s.members)
	}
	if w.synchronous && s.sync == "" {
		return fmt.Errorf("none follows %s synchronously", s.leader)
	}
	return w.cluster.ready(ctx)
}

// patronictl runs it in a member, as its page says.
func (w *world) patronictl(ctx context.Context, args ...string) error {
	var last error
	for _, name := range w.names() {
		p, err := w.kubelet.pod(name)
		if err != nil {
			return err
		}
		_, last = p.exec(ctx, append([]string{"patronictl", "-c", "/tmp/patroni/patroni.yml"}, args...)...)
		if last == nil || !strings.Contains(last.Error(), "does not run") {
			return last
		}
	}
	return last
}

// setting changes the cluster's dynamic configuration and waits until members
// have it.
func (w *world) setting(ctx context.Context, name, value string) error {
	if err := w.patronictl(ctx, "edit-config", "--force", "--set", name+"="+value); err != nil {
		return err
	}
	return within(ctx, patience, name+" is "+value, func(ctx context.Context) error {
		for _, member := range w.names() {
			_, body, err := w.answer(ctx, member, "/config")
			if err != nil {
				return err
			}
			var config map[string]any
			if err := json.Unmarshal(body, &config); err != nil {
				return err
			}
			if fmt.Sprint(config[name]) != value {
				return fmt.Errorf("%s has %v", member, config[name])
			}
		}
		return nil
	})
}

// other is a follower that is not synchronous.
func (s state) other() (string, error) {
	i := slices.IndexFunc(s.members, func(m member) bool { return m.Name != s.leader && m.Name != s.sync })
	if i < 0 {
		return "", errors.New("no follower is left that is not synchronous")
	}
	return s.members[i].Name, nil
}
