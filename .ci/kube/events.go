package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// away is how long the API server is gone.
const away = 30 * time.Second

// event is what befalls the cluster while rows are written.
type event struct {
	name string
	do   func(ctx context.Context, before state) error
	// stays says that the same member leads afterwards, and has led all the
	// time: a new leader begins a new timeline.
	stays bool
}

func (w *world) events(ctx context.Context) error {
	for _, e := range []event{
		{name: "nothing", do: func(ctx context.Context, _ state) error { return pause(ctx, 5*time.Second) }, stays: true},
		{name: "leader's container killed, started again at once", do: func(ctx context.Context, s state) error { return w.kill(ctx, s.leader) }},
		{name: "leader killed, kept down until another leads", do: w.replaced},
		{name: "switchover by patronictl", do: func(ctx context.Context, _ state) error { return w.patronictl(ctx, "switchover", "--force") }},
		{name: "rolling restart: every pod evicted, one by one", do: w.rolling},
		{name: "controller manager killed and started", do: w.managerRestarts, stays: true},
		{name: "API server away for 30 s, failsafe mode on", do: func(ctx context.Context, _ state) error { return w.apiAway(ctx) }, stays: true},
		{name: "API server away for 30 s, failsafe mode on, a replica lost", do: w.apiAndReplicaAway},
		{name: "API server away for 30 s, failsafe mode off", do: w.apiAwayUnsafe},
	} {
		if err := w.event(ctx, e); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return nil
}

// event lets something happen, waits until all is well again, and prints for
// how long writes stopped.
func (w *world) event(ctx context.Context, e event) error {
	before, err := w.look(ctx)
	if err != nil {
		return err
	}
	w.kubelet.note("event: " + e.name + "; " + before.leader + " leads")
	w.writer.Mark()
	began := time.Now()
	if err := e.do(ctx, before); err != nil {
		return err
	}
	if err := within(ctx, patience, "the cluster settles", w.settled); err != nil {
		return err
	}
	settled := time.Now()
	var stopped time.Duration
	err = within(ctx, patience, "rows are written", func(context.Context) (err error) {
		stopped, err = w.writer.Stopped(settled)
		return err
	})
	if err != nil {
		return err
	}
	after, err := w.look(ctx)
	if err != nil {
		return err
	}
	if e.stays && (after.leader != before.leader || after.timeline != before.timeline) {
		return fmt.Errorf("%s led on timeline %d, and now %s on %d", before.leader, before.timeline, after.leader, after.timeline)
	}
	w.rows = append(w.rows, []string{e.name, seconds(stopped), seconds(settled.Sub(began)),
		fmt.Sprintf("%s to %s", before.leader, after.leader), fmt.Sprintf("%d to %d", before.timeline, after.timeline)})
	w.pass("%s: writes stopped for %s", e.name, seconds(stopped))
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

func (w *world) kill(ctx context.Context, name string) error {
	p, err := w.kubelet.pod(name)
	if err != nil {
		return err
	}
	return p.kill(ctx, false)
}

// replaced keeps the dead leader down until another member leads.
func (w *world) replaced(ctx context.Context, before state) error {
	p, err := w.kubelet.pod(before.leader)
	if err != nil {
		return err
	}
	if err := p.kill(ctx, true); err != nil {
		return err
	}
	defer p.release()
	return within(ctx, patience, "another member leads", func(ctx context.Context) error {
		_, err := w.look(ctx)
		return err
	})
}

// rolling evicts the pods as a drain of their nodes does: the disruption
// budget is asked each time.
func (w *world) rolling(ctx context.Context, _ state) error {
	for _, name := range w.names() {
		old, err := w.kubelet.pod(name)
		if err != nil {
			return err
		}
		err = within(ctx, patience, "pod "+name+" is evicted", func(ctx context.Context) error {
			return w.cluster.PolicyV1().Evictions(w.cluster.set.Namespace).Evict(ctx, &policyv1.Eviction{
				ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.cluster.set.Namespace},
				// Tried again, it must not take the next pod of the name.
				DeleteOptions: &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &old.uid}},
			})
		})
		if err != nil {
			return err
		}
		err = within(ctx, patience, "a new pod "+name+" follows", func(ctx context.Context) error {
			if p, err := w.kubelet.pod(name); err != nil || p == old {
				return fmt.Errorf("the old one is still there")
			}
			return w.settled(ctx)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// managerRestarts holds that Patroni's objects outlive it: it deletes
// Endpoints without a Service whenever it starts.
func (w *world) managerRestarts(ctx context.Context, _ state) error {
	before, err := w.syncObject(ctx)
	if err != nil {
		return err
	}
	w.servers.kcm.kill()
	if err := w.servers.kcm.start(); err != nil {
		return err
	}
	if err := pause(ctx, 15*time.Second); err != nil {
		return err
	}
	after, err := w.syncObject(ctx)
	if err == nil && before != after {
		err = fmt.Errorf("the object with Patroni's synchronous state was made anew: %s was %s", after, before)
	}
	return err
}

// syncObject is the uid of what says which follower is synchronous.
func (w *world) syncObject(ctx context.Context) (string, error) {
	object, err := w.cluster.dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: w.Store}).
		Namespace(w.cluster.set.Namespace).Get(ctx, w.cluster.set.Name+"-sync", metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	return string(object.GetUID()), nil
}

// generation of the StatefulSet changes with its specification.
func (w *world) generation(ctx context.Context) (int64, error) {
	set, err := w.cluster.AppsV1().StatefulSets(w.cluster.set.Namespace).Get(ctx, w.cluster.set.Name, metav1.GetOptions{})
	if err != nil {
		return 0, err
	}
	return set.Generation, nil
}

func (w *world) apiAway(ctx context.Context) error {
	w.servers.api.kill()
	if err := pause(ctx, away); err != nil {
		return err
	}
	return w.servers.startAPI(ctx, w.cluster.alive)
}

func (w *world) apiAndReplicaAway(ctx context.Context, before state) error {
	name, err := before.other()
	if err != nil {
		return err
	}
	p, err := w.kubelet.pod(name)
	if err != nil {
		return err
	}
	if err := p.kill(ctx, true); err != nil {
		return err
	}
	defer p.release()
	return w.apiAway(ctx)
}

func (w *world) apiAwayUnsafe(ctx context.Context, _ state) error {
	if err := w.setting(ctx, "failsafe_mode", "false"); err != nil {
		return err
	}
	return w.apiAway(ctx)
}

// table prints what was seen.
func (w *world) table() {
	if len(w.rows) == 0 {
		return
	}
	t := tabwriter.NewWriter(w.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, w.Store+": event\twrites stopped\tall well after\tleader\ttimeline")
	for _, row := range w.rows {
		fmt.Fprintln(t, w.Store+": "+strings.Join(row, "\t"))
	}
	t.Flush()
}

// explain prints what there is to a failure.
func (w *world) explain(ctx context.Context) {
	if w.cluster == nil || w.kubelet == nil {
		return
	}
	for _, text := range w.cluster.events(ctx) {
		fmt.Fprintln(os.Stderr, "event:", text)
	}
	for _, name := range w.names() {
		if p, err := w.kubelet.pod(name); err == nil {
			fmt.Fprintf(os.Stderr, "--- end of the log of %s\n%s\n", name, tail(p.log()))
		}
	}
}

func sorted(lines []string) string {
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}
