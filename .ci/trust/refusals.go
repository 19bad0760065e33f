package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
)

// ours is the product among those that are asked.
const ours = "verify"

// refusal is one attack on one row, put to one reader.
type refusal struct {
	attack int // its index
	row    row
	reader string
}

// refusals is the whole table of attacks: every attack that fits, on every
// row, for every reader that is to see it.
func (w *world) refusals() []refusal {
	var all []refusal
	for number, a := range attacks() {
		for _, signer := range signers() {
			for _, place := range places() {
				for _, format := range w.attacked {
					for _, reader := range w.readers() {
						if a.wants(signer) && (a.command != "" || reader == ours) {
							all = append(all, refusal{number, row{signer, place, format}, reader})
						}
					}
				}
			}
		}
	}
	return all
}

func (w *world) readers() []string {
	names := []string{ours}
	for _, c := range w.clients {
		names = append(names, c.name)
	}
	return names
}

// gapOf returns the gap that a refusal lies in, or 0.
func (r refusal) gapOf() int {
	return gapOf(cell{r.row.signer, r.row.place, r.row.format, client{name: r.reader}, attacks()[r.attack].command})
}

// attackAll mounts every attack and asks every reader; it returns their
// answers, and what is wrong with them.
func (w *world) attackAll(ctx context.Context, subjects map[row]map[string]subject) (map[refusal]string, []error) {
	answers, failures := map[refusal]string{}, []error(nil)
	var mu sync.Mutex
	type target struct {
		attack int
		row    row
	}
	var targets []target
	asked := map[target][]refusal{}
	for _, r := range w.refusals() {
		t := target{r.attack, r.row}
		if n := r.gapOf(); n > 0 {
			answers[r] = fmt.Sprintf("(%d)", n)
			continue
		}
		if asked[t] == nil {
			targets = append(targets, t)
		}
		asked[t] = append(asked[t], r)
	}
	each(len(targets), func(i int) {
		t := targets[i]
		about, err := w.mount(ctx, t.attack, t.row, subjects)
		for _, r := range asked[t] {
			answer, why := "WRONG", err
			if err == nil {
				answer, why = w.answer(ctx, r, about)
			}
			mu.Lock()
			answers[r] = answer
			if why != nil {
				failures = append(failures, fmt.Errorf("%s, %s %s %s, asked %s: %w", attacks()[r.attack].name, r.row.signer, r.row.place, r.row.format, r.reader, why))
			}
			mu.Unlock()
		}
	})
	return answers, failures
}

// mount performs an attack on a row. That of a layout is performed in the
// registry, and copied: a copy changes nothing.
func (w *world) mount(ctx context.Context, number int, r row, subjects map[row]map[string]subject) (subject, error) {
	in := r
	if r.place == "layout" {
		in.place = "registry"
	}
	// Each attack on each row has a repository to itself.
	prefix := fmt.Sprintf("attack%d/%s-%s-%s", number, r.signer, r.place, r.format)
	about, err := attacks()[number].mount(ctx, prefix, subjects[in]["child"], subjects[in]["base"])
	if err != nil || r.place != "layout" {
		return about, err
	}
	name, _, _ := strings.Cut(about.ref, "@")
	dir := w.path("attacked/" + prefix)
	_, err = output(ctx, w.env(), w.product.command, "copy", name+":1", "oci:"+dir)
	return subject{ref: dir + "/tools", layout: true, digest: about.digest}, err
}

// answer asks one reader; a refusal is right for all but the control.
func (w *world) answer(ctx context.Context, r refusal, s subject) (string, error) {
	a := attacks()[r.attack]
	place := r.row.place
	if place == "layout" {
		place = "registry" // where it was signed, before it was copied
	}
	t := w.trusts(r.row.signer, place)
	if a.trust != nil {
		t = a.trust(w, t)
	}
	if r.reader == ours {
		_, err := w.run(ctx, nil, append([]string{"verify", s.ours()}, t.ours(r.row.format)...)...)
		status, err := exitStatus(err)
		if err != nil || !slices.Contains(a.status, status) {
			return "WRONG", errors.Join(fmt.Errorf("exit status %d, want one of %v", status, a.status), err)
		}
		return fmt.Sprint(status), nil
	}
	i := slices.IndexFunc(w.clients, func(c client) bool { return c.name == r.reader })
	err := w.clients[i].ask(ctx, w.env(), a.command, r.row.format, t, s)
	control := strings.HasPrefix(a.name, "control")
	switch {
	case control && err == nil:
		return "taken", nil
	case !control && errors.Is(err, errRefused):
		return "refused", nil
	case err == nil:
		return "WRONG", errors.New("it was taken")
	}
	return "WRONG", err
}

// exitStatus is the status that a command ended with.
func exitStatus(err error) (int, error) {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// ours are the product's flags for the same trust. An attacked image lies alone,
// without its base, which cosign does not look for either. No log of
// certificates runs here, and a classic signature cannot carry the entry of
// Rekor's second version.
func (t trustIn) ours(format string) []string {
	if t.key != "" {
		return []string{"--no-chain", "--key", t.key}
	}
	flags := []string{"--no-chain", "--certificate-identity", t.identity, "--certificate-oidc-issuer", t.issuer,
		"--trusted-root", t.root, "--insecure-ignore-sct"}
	if format == "classic" {
		flags = append(flags, "--insecure-ignore-tlog")
	}
	return flags
}

// refusalGrid prints the answers: a line for each attack and reader, a column
// for each signer, place and format.
func (w *world) refusalGrid(answers map[refusal]string) string {
	var b strings.Builder
	var rows []row
	for _, signer := range signers() {
		for _, place := range places() {
			for _, format := range w.attacked {
				rows = append(rows, row{signer, place, format})
			}
		}
	}
	for _, part := range []func(row) string{
		func(r row) string { return r.signer }, func(r row) string { return r.place }, func(r row) string { return r.format },
	} {
		fmt.Fprintf(&b, "%-36s", "")
		for _, r := range rows {
			fmt.Fprintf(&b, " %-9s", part(r))
		}
		b.WriteString("\n")
	}
	for number, a := range attacks() {
		for _, reader := range w.readers() {
			if a.command == "" && reader != ours {
				continue
			}
			fmt.Fprintf(&b, "%-22s %-13s", a.name, reader)
			for _, r := range rows {
				answer, ok := answers[refusal{number, r, reader}]
				if !ok {
					answer = "MISSING"
				}
				if !a.wants(r.signer) {
					answer = ""
				}
				fmt.Fprintf(&b, " %-9s", answer)
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}
