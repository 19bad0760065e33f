package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
)

// row is what was pushed once: all cells of a signer, place and format.
type row struct{ signer, place, format string }

// check pushes everything, fills the table and prints it; an error says how
// many cells are wrong.
func (w *world) check(ctx context.Context, out io.Writer) error {
	if err := w.prepare(ctx); err != nil {
		return err
	}
	subjects, err := w.pushAll(ctx)
	if err != nil {
		return err
	}
	answers, wrong := w.fillAll(ctx, subjects)
	fmt.Fprintf(out, "%s\n%s", legend, grid(w.clients, answers))
	count := tally(answers)
	for n, g := range gaps() {
		fmt.Fprintf(out, "  (%d) %s: %d cells\n", n+1, g.why, count[fmt.Sprintf("(%d)", n+1)])
	}
	refusals, missed := w.attackAll(ctx, subjects)
	fmt.Fprintf(out, "\n%s", w.refusalGrid(refusals))
	fmt.Fprintf(out, "\ntrust: %d cells of %d clients, %d ways to sign and %d commands: %d taken, %d left out with a reason, %d wrong\n",
		len(cells(w.clients)), len(w.clients), len(signers())*len(places())*len(formats()), len(commands()),
		count["taken"], len(answers)-count["taken"]-count["WRONG"], count["WRONG"])
	right, left := 0, 0
	for r, answer := range refusals {
		switch {
		case r.gapOf() > 0:
			left++
		case answer != "WRONG":
			right++
		}
	}
	fmt.Fprintf(out, "trust: %d questions about %d attacks: %d answered right, %d left out with a reason, %d wrong\n",
		len(w.refusals()), len(attacks()), right, left, len(refusals)-right-left)
	return errors.Join(append(wrong, missed...)...)
}

// tally counts answers.
func tally[K comparable](answers map[K]string) map[string]int {
	count := map[string]int{}
	for _, answer := range answers {
		count[answer]++
	}
	return count
}

// fillAll asks every cell's question.
func (w *world) fillAll(ctx context.Context, subjects map[row]map[string]subject) (map[cell]string, []error) {
	answers, failures := map[cell]string{}, []error(nil)
	var mu sync.Mutex
	table := cells(w.clients)
	each(len(table), func(i int) {
		answer, err := w.fill(ctx, table[i], subjects)
		mu.Lock()
		defer mu.Unlock()
		answers[table[i]] = answer
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", table[i], err))
		}
	})
	return answers, failures
}

// pushAll pushes each row that has a cell which can be asked.
func (w *world) pushAll(ctx context.Context) (map[row]map[string]subject, error) {
	rows := map[row]bool{}
	for _, c := range cells(w.clients) {
		if gapOf(c) == 0 {
			rows[row{c.signer, c.place, c.format}] = true
		}
	}
	subjects := map[row]map[string]subject{}
	for r := range rows {
		pushed, err := w.push(ctx, r)
		if err != nil {
			return nil, err
		}
		subjects[r] = pushed
	}
	return subjects, nil
}

// fill asks one cell's question.
func (w *world) fill(ctx context.Context, c cell, subjects map[row]map[string]subject) (string, error) {
	if n := gapOf(c); n > 0 {
		return fmt.Sprintf("(%d)", n), nil
	}
	pushed := subjects[row{c.signer, c.place, c.format}]
	about := pushed["verify"]
	if c.command == "index" {
		about = pushed["index"]
	}
	if err := c.client.ask(ctx, w.env(), c.command, c.format, w.trusts(c.signer, c.place), about); err != nil {
		return "WRONG", err
	}
	return "taken", nil
}

// each runs n jobs, as many at a time as there are processors.
func each(n int, job func(i int)) {
	next := make(chan int)
	var group sync.WaitGroup
	for range runtime.NumCPU() {
		group.Go(func() {
			for i := range next {
				job(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
}
