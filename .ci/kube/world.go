package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/shudl/shudl-assemble/layers/contract/unpack"
	"github.com/shudl/shudl-assemble/layers/contract/writes"
)

// patience is how long the cluster may take to settle. It only ends what would
// go on for ever.
const patience = 10 * time.Minute

// world is one cluster, and what was seen of it.
type world struct {
	job
	out         io.Writer
	network     *network
	servers     *servers
	cluster     *cluster
	kubelet     *kubelet
	http        *http.Client
	synchronous bool
	password    string
	proxy       *proxy
	writer      *writes.Writer
	rows        [][]string // of the table
	passed      int
}

// inside is what the sandbox runs.
func inside(ctx context.Context, input []byte, output io.Writer) error {
	w := &world{out: output, http: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}}
	if err := json.Unmarshal(input, &w.job); err != nil {
		return err
	}
	err := w.run(ctx)
	if err != nil {
		w.explain(context.WithoutCancel(ctx))
	}
	w.table()
	failed := 0
	if err != nil {
		failed = 1
		fmt.Fprintln(w.out, "FAILED:", err)
	}
	fmt.Fprintf(w.out, "%s: %d passed, %d failed\n", w.Store, w.passed, failed)
	return err
}

// run stops at the first failure: what comes after wants what was before.
func (w *world) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	steps := []struct {
		name string
		do   func(context.Context) error
	}{
		{"etcd, the API server and its controllers start", w.start},
		{"the manifests are applied, and every field is known", w.applies},
		{"standalone and lakehouse are taken too, every field is known, and their pods are admitted", w.stacks},
		{"Pod Security and the Role hold", w.confines},
		{"three members are ready", w.boots},
		{"synchronous mode is set by patronictl", func(ctx context.Context) error {
			w.synchronous = true
			return w.setting(ctx, "synchronous_mode", "true")
		}},
		{"rows are written through the leader's Service", w.writes},
		{"events", w.events},
		{"every acknowledged row is on every member", w.kept},
		{"no password is in a log or a command line", w.discreet},
		{"applied again, the manifests change nothing", w.appliesAgain},
		{"Patroni asks for nothing that its Role refuses", w.rights},
	}
	if w.StacksOnly {
		steps = steps[:3]
	}
	for _, one := range steps {
		began := time.Now()
		if err := one.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
		if one.name != "events" {
			w.pass("%s (%s)", one.name, seconds(time.Since(began)))
		}
	}
	return nil
}

// pass counts what was shown.
func (w *world) pass(format string, args ...any) {
	w.passed++
	fmt.Fprintf(w.out, "ok: "+format+"\n", args...)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func (w *world) path(name string) string { return filepath.Join(w.Work, name) }

func (w *world) start(ctx context.Context) error {
	objects, set, err := parse(w.Manifests)
	if err != nil {
		return err
	}
	fmt.Fprintf(w.out, "%s: %d objects; image %s; %s\n", w.Store, len(objects), w.Image.Digest, w.Runtime.Version)
	account := "system:serviceaccount:" + set.Namespace + ":" + set.Spec.Template.Spec.ServiceAccountName
	for _, dir := range []string{"servers", "root", "pods"} {
		if err := os.Mkdir(w.path(dir), 0o755); err != nil {
			return err
		}
	}
	if w.network, err = newNetwork(ctx); err != nil {
		return err
	}
	if w.servers, err = newServers(w.path("servers"), w.Servers, account); err != nil {
		return err
	}
	if w.cluster, err = newCluster(w.servers.admin(), w.Manifests); err != nil {
		return err
	}
	if err := w.servers.etcd.start(); err != nil {
		return err
	}
	if err := w.servers.startAPI(ctx, w.cluster.alive); err != nil {
		return err
	}
	version, err := w.cluster.Discovery().ServerVersion()
	if err != nil {
		return err
	}
	fmt.Fprintf(w.out, "%s: kube-apiserver %s\n", w.Store, version.GitVersion)
	return w.servers.kcm.start()
}

func (w *world) applies(ctx context.Context) error {
	if err := w.cluster.apply(ctx); err != nil {
		return err
	}
	return w.cluster.surroundings(ctx, w.path("volumes"))
}

func (w *world) boots(ctx context.Context) error {
	if _, err := unpack.Image(ctx, w.path("root"), w.Image.Layers, unpack.Options{Owners: true}); err != nil {
		return err
	}
	w.kubelet = &kubelet{cluster: w.cluster, runtime: w.Runtime, network: w.network, dir: w.path("pods"), root: w.path("root"),
		image: w.Image, id: filepath.Base(w.Work), pods: map[types.UID]*pod{}, last: map[string]*pod{}}
	if err := w.kubelet.run(ctx); err != nil {
		return err
	}
	return within(ctx, patience, "three members are ready", w.settled)
}

// writes begins to write rows, as a client of the leader's Service.
func (w *world) writes(ctx context.Context) error {
	err := within(ctx, patience, "the cluster follows synchronously", w.settled)
	if err != nil {
		return err
	}
	if w.password, err = w.cluster.password(ctx, "PATRONI_SUPERUSER_PASSWORD"); err != nil {
		return err
	}
	if w.proxy, err = newProxy(ctx, w.cluster, w.network, w.cluster.set.Name); err != nil {
		return err
	}
	return within(ctx, patience, "the Service reaches the leader", func(ctx context.Context) (err error) {
		w.writer, err = writes.Start(context.WithoutCancel(ctx), w.database(w.proxy.address))
		return err
	})
}

func (w *world) database(address string) writes.Database {
	return writes.Database{URL: "postgres://postgres:" + w.password + "@" + address + "/postgres?sslmode=disable&connect_timeout=2"}
}

// kept holds every member to the rows that were acknowledged.
func (w *world) kept(ctx context.Context) error {
	acked := w.writer.Stop()
	for _, name := range w.names() {
		p, err := w.kubelet.pod(name)
		if err != nil {
			return err
		}
		err = within(ctx, patience, "rows are on "+name, func(ctx context.Context) error {
			lost, err := writes.Lost(ctx, w.database(p.address()+":5432"), acked)
			if err == nil && lost > 0 {
				err = fmt.Errorf("%d of %d acknowledged rows are missing", lost, len(acked))
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	fmt.Fprintf(w.out, "%s: rows kept: all of %d acknowledged, on each of %d members\n", w.Store, len(acked), len(w.names()))
	return nil
}

func (w *world) appliesAgain(ctx context.Context) error {
	before, err := w.generation(ctx)
	if err != nil {
		return err
	}
	if err := w.cluster.apply(ctx); err != nil {
		return err
	}
	after, err := w.generation(ctx)
	if err == nil && before != after {
		err = fmt.Errorf("the StatefulSet is at generation %d, and was at %d", after, before)
	}
	if err != nil {
		return err
	}
	for _, text := range w.cluster.warnings.said {
		fmt.Fprintf(w.out, "%s: the API server warns: %s\n", w.Store, text)
	}
	return within(ctx, patience, "the cluster is as before", w.settled)
}
