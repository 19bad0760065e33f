package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/shudl/shudl-assemble/recipes"
	"github.com/shudl/shudl-assemble/rootfs/progress"
)

// app is one run of the command: where it writes, and the flags that many
// commands have.
type app struct {
	stdout, stderr io.Writer
	sink           sink
	closers        []func() error

	distro, recipesDir, cache, keyring, release string
	bundle, progressMode, output, platforms     string
	mirrors                                     []string
	locked, offline                             bool
	jobs                                        int
}

// sink is what progress goes to, until it is closed.
type sink interface {
	progress.Sink
	Close()
}

// close ends what the run has open: progress bars above all, so that they do
// not paint over the results.
func (a *app) close() {
	a.quiet()
	for i := len(a.closers) - 1; i >= 0; i-- {
		a.closers[i]()
	}
	a.closers = nil
}

// quiet ends the progress display.
func (a *app) quiet() {
	if a.sink != nil {
		a.sink.Close()
	}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "shudl-assemble",
		Short: "Assemble, sign and publish the ShuDL images",
		Long: "shudl-assemble makes the ShuDL images without Docker, without root and without a daemon:\n" +
			"it fetches locked artefacts, packs them as OCI layers, appends them base to service,\n" +
			"and publishes them signed and described.\n\n" +
			"Every flag has an environment variable: --to is SHUDL_TO, --max-age is SHUDL_MAX_AGE.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          usageArgs(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := fromEnvironment(cmd); err != nil {
				return err
			}
			if err := cmd.ValidateFlagGroups(); err != nil {
				return usage(err)
			}
			if a.jobs < 0 {
				return usage(fmt.Errorf("--jobs %d: it is a number of jobs, or 0 for one for each processor", a.jobs))
			}
			return a.startProgress()
		},
	}
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(flagError(err)) })
	root.PersistentFlags().StringVar(&a.progressMode, "progress", "auto", "how work is shown on standard error: auto, plain, json or quiet")
	root.PersistentFlags().StringVar(&a.cache, "cache", "", "`DIR` of the content store (default: shudl-assemble in the user's cache folder)")
	root.AddCommand(a.push(), a.build(), a.plan(), a.lock(), a.fetch(), a.resolve(), a.verify(), a.sbom(), a.copy(), a.test(),
		a.rebase(), a.reproduce(), a.deploy(), a.cacheCommand(), a.version(), a.compile(), a.sandboxed(), exitStatusTopic())
	for _, cmd := range root.Commands() {
		cmd.DisableFlagsInUseLine = true
	}
	return root
}

// fromEnvironment sets each flag that was not given from its environment
// variable.
func fromEnvironment(cmd *cobra.Command) error {
	var errs []error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		name := "SHUDL_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := os.LookupEnv(name)
		if !ok || value == "" || f.Changed || f.Name == "help" {
			return
		}
		if err := cmd.Flags().Set(f.Name, value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, flagError(err)))
		}
	})
	return usage(errors.Join(errs...))
}

// flagError says of a value that a flag does not take what it is for, in
// place of the words of the parser.
func flagError(err error) error {
	var value *pflag.InvalidValueError
	if !errors.As(err, &value) {
		return err
	}
	_, meaning := pflag.UnquoteUsage(value.GetFlag())
	if value.GetFlag().Value.Type() == "bool" {
		meaning = "it is true or false"
	}
	return fmt.Errorf("--%s %s: %s", value.GetFlag().Name, value.GetValue(), meaning)
}

// usageArgs makes a wrong number of arguments a usage error that shows the
// right one.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		if err == nil {
			return nil
		}
		unknown := strings.HasPrefix(err.Error(), "unknown command") // cobra's word where none are taken
		switch {
		case unknown && !cmd.HasSubCommands():
			return usage(fmt.Errorf("%s takes no arguments: leave out %q", cmd.CommandPath(), args[0]))
		case !unknown:
			return usage(fmt.Errorf("%s: %w", cmd.UseLine(), err))
		}
		cmd.SuggestionsMinimumDistance = 2
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			err = fmt.Errorf("%w: is it %s?", err, strings.Join(near, ", "))
		}
		return usage(err)
	}
}

// sourceFlags are those of every command that works on a distro.
func (a *app) sourceFlags(f *pflag.FlagSet) {
	f.StringVar(&a.distro, "distro", string(recipes.Alpine), "alpine or debian")
	f.StringVar(&a.keyring, "keyring", "", "`DIR` with more public keys, for mirrors of one's own")
	a.fetchFlags(f)
}

// fetchFlags are those of every command that fetches.
func (a *app) fetchFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&a.mirrors, "mirror", nil, "`NAME=URL` of a mirror to ask first, for alpine, debian, debian-security, maven, pypi or go; file:DIR is a folder")
	f.BoolVar(&a.offline, "offline", false, "use the store, the bundle and file: mirrors only")
	f.StringVar(&a.bundle, "bundle", "", "`FILE` that fetch --bundle wrote")
	f.IntVar(&a.jobs, "jobs", 0, "how much runs at a time (default: one for each processor, of blobs and signatures four at least)")
}

// imageFlags are those of every command that works on recipes.
func (a *app) imageFlags(f *pflag.FlagSet) {
	a.sourceFlags(f)
	f.StringVar(&a.recipesDir, "recipes", "", "`DIR` of recipes (default: recipes/ here, else the built-in ones)")
	f.StringVar(&a.platforms, "platform", "", "linux/amd64, linux/arm64, both with a comma, or all (default: the machine's own)")
}

func (a *app) lockedFlag(f *pflag.FlagSet) {
	f.BoolVar(&a.locked, "locked", false, "refuse any change of the lock")
}

// platformList reads --platform.
func (a *app) platformList() ([]recipes.Platform, error) {
	switch a.platforms {
	case "":
		p, err := recipes.ParsePlatform(string(recipes.Machine()))
		if err != nil {
			return nil, usage(fmt.Errorf("no images are made for this machine's %s: give --platform", runtime.GOARCH))
		}
		return []recipes.Platform{p}, nil
	case "all":
		return recipes.Platforms(), nil
	}
	var list []recipes.Platform
	seen := map[recipes.Platform]bool{}
	for _, text := range strings.Split(a.platforms, ",") {
		p, err := recipes.ParsePlatform(strings.TrimSpace(text))
		if err != nil {
			return nil, usage(fmt.Errorf("--platform: %w", err))
		}
		if !seen[p] {
			seen[p] = true
			list = append(list, p)
		}
	}
	return list, nil
}

// recipeFolder finds the recipes: the flag's, those of the current folder,
// else the built-in ones ("").
func (a *app) recipeFolder() string {
	if a.recipesDir != "" {
		return a.recipesDir
	}
	for _, base := range []string{"recipes/base-debian/recipe.yaml", "recipes/base-alpine/recipe.yaml"} {
		if _, err := os.Stat(base); err == nil {
			return "recipes"
		}
	}
	return ""
}
