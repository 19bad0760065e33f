// Command bench measures shudl-assemble beside other tools that make or move
// images, on the same bytes in one run, and prints one table. Every contender
// of a row runs in every round, one after the other, so that a busy moment of
// the machine meets all of them; medians are shown, and times are never judged.
// What a contender made is compared with what it was given: a wrong byte ends
// the run with status 1.
//
//	go run ./layers/bench --command ./shudl-assemble --alpine ../shared/alpine
//
// Contenders that are not on PATH are left out, and so are rows whose data is
// not given.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

// settings are what the command line says.
type settings struct {
	command string // the built shudl-assemble
	alpine  string // folder with minirootfs, v3.19 and iso-3.19.1
	images  string // layout folder of the Debian images, as push made it
	store   string // the store that made them
	recipes string
	rounds  int
	only    []string // rows; nil for all
	work    string
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s, err := parse()
	if err != nil {
		return err
	}
	if s.work, err = os.MkdirTemp(s.work, "shudl-bench."); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove(s.work)) }()
	machine, err := newGauge(ctx, s.work)
	if err != nil {
		return err
	}
	fmt.Println(machine.machine())
	fmt.Println()
	fmt.Print(header)
	for _, r := range rows() {
		if len(s.only) > 0 && !slices.Contains(s.only, r.key) {
			continue
		}
		lines, err := r.run(ctx, s, machine)
		if err != nil {
			return fmt.Errorf("%s: %w", r.key, err)
		}
		for _, l := range lines {
			fmt.Println(l)
		}
	}
	return nil
}

func parse() (settings, error) {
	var s settings
	var only string
	flag.StringVar(&s.command, "command", "", "the built shudl-assemble (required)")
	flag.StringVar(&s.alpine, "alpine", "", "folder with Alpine's signed data, for the rows that need it")
	flag.StringVar(&s.images, "images", "", "layout folder of the Debian images that push made, for the rows that push")
	flag.StringVar(&s.store, "store", "", "the store that made them; it is not written to")
	flag.StringVar(&s.recipes, "recipes", "recipes", "folder of the recipes that made them")
	flag.IntVar(&s.rounds, "rounds", 5, "how often each contender runs")
	flag.StringVar(&only, "rows", "", "rows to run, with commas (default: all that have their data): "+keys())
	flag.StringVar(&s.work, "work", "", "folder for what is made meanwhile (default: the system's)")
	flag.Parse()
	if s.command == "" || flag.NArg() > 0 || s.rounds < 1 {
		return s, errors.New("usage: bench --command ./shudl-assemble [flags]; --help lists them")
	}
	if only != "" {
		s.only = strings.Split(only, ",")
	}
	for _, path := range []*string{&s.command, &s.alpine, &s.images, &s.store, &s.recipes} {
		if *path == "" {
			continue
		}
		var err error
		if *path, err = filepath.Abs(*path); err != nil {
			return s, err
		}
	}
	return s, nil
}

func keys() string {
	var list []string
	for _, r := range rows() {
		list = append(list, r.key)
	}
	return strings.Join(list, ", ")
}

// remove deletes a folder in which files and folders may be read-only.
func remove(dir string) error {
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(path, 0o755)
		}
		return err
	})
	return os.RemoveAll(dir)
}
