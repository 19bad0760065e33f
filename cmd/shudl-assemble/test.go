package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shudl/shudl-assemble/layers/assemble"
	"github.com/shudl/shudl-assemble/layers/contract"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

// sandboxName is the hidden command that a test runs in a sandbox.
const sandboxName = "test-in-sandbox"

// testFlags are those of test.
type testFlags struct {
	all                 bool
	stack               string
	from, runtime, work string
}

func (a *app) test() *cobra.Command {
	var f testFlags
	cmd := &cobra.Command{
		Use:   "test [IMAGE[:STREAM]...|--all|--stack NAME]",
		Short: "Start images in a real OCI runtime and hold them to their contracts",
		Long: "test unpacks published images, looks at what they hold, starts them as their users would, and holds\n" +
			"them to the test.yaml of their recipes: health, answers, user, rights, signals, logs, metrics, size.\n\n" +
			"--stack starts several images together, as one service, and holds them to what they do jointly: catalog\n" +
			"makes an Iceberg table in Nessie on PostgreSQL and MinIO, restarts every service, and finds it again;\n" +
			"lakehouse adds Trino and Spark. failover and ha kill and change the leader of two and three Patroni\n" +
			"members under writes, ha cuts its network, too; no acknowledged row may be lost.\n\n" +
			"Containers run in a network that nothing outside reaches, with a read-only root and no capability. As\n" +
			"root, every user id is what it is; otherwise the ids that /etc/subuid delegates are used, or, where there\n" +
			"are none, a single one, and the report says what that could not show.\n\n" +
			"The images come from --from, where push or build put them, under the tag of their stream. Temporary\n" +
			"files need room for the unpacked images, in a folder from which programs may run.",
		Example: "  shudl-assemble test postgresql --distro debian\n  shudl-assemble test --all --distro debian --from ghcr.io/org/repo --output json\n  shudl-assemble test --stack catalog --distro debian",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runTest(cmd.Context(), args, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&a.distro, "distro", string(recipes.Alpine), "alpine or debian")
	flags.StringVar(&a.recipesDir, "recipes", "", "`DIR` of recipes (default: recipes/ here, else the built-in ones)")
	flags.BoolVar(&f.all, "all", false, "all images of the distro")
	flags.StringVar(&f.stack, "stack", "", "`NAME` of a stack: images started together")
	flags.StringVar(&f.from, "from", defaultDest, "`DEST` that the images were published to: oci:DIR or a registry path")
	flags.StringVar(&f.runtime, "runtime", "", "OCI runtime by name or `PATH` (default: runc, else crun)")
	flags.StringVar(&f.work, "work", "", "`DIR` for unpacked images (default: the system's for temporary files)")
	flags.StringVar(&a.output, "output", "", "results as table or json (default: table)")
	cmd.ValidArgsFunction = a.completeImages
	cmd.RegisterFlagCompletionFunc("stack", a.completeStacks)
	return cmd
}

// sandboxed is test's other side.
func (a *app) sandboxed() *cobra.Command {
	return &cobra.Command{
		Use: sandboxName, Hidden: true, Args: usageArgs(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, args []string) error { return contract.Inside(cmd.Context(), args) },
	}
}

func (a *app) runTest(ctx context.Context, args []string, f testFlags) error {
	write, err := a.testWriter()
	if err != nil {
		return err
	}
	o, err := a.testOptions(args, f)
	if err != nil {
		return err
	}
	reports, err := contract.Run(ctx, o)
	a.quiet()
	var unmet *contract.UnmetError
	if err == nil || errors.As(err, &unmet) {
		err = errors.Join(write(reports), err)
	}
	return err
}

func (a *app) testOptions(args []string, f testFlags) (contract.Options, error) {
	o := contract.Options{Command: sandboxCommand(), Runtime: f.runtime, Work: f.work, Progress: a.sink, Stderr: a.stderr}
	var err error
	if o.Distro, err = recipes.ParseDistro(a.distro); err != nil {
		return o, usage(fmt.Errorf("--distro: %w", err))
	}
	platforms, err := a.platformList()
	if err != nil {
		return o, err
	}
	o.Platform = platforms[0]
	if o.Set, err = recipes.Open(a.recipeFolder()); err != nil {
		return o, usage(err)
	}
	if err := underTest(&o, args, f); err != nil {
		return o, usage(err)
	}
	dest, err := publish.ParseDestination(f.from, publish.RegistryOptions{})
	if err != nil {
		return o, usage(err)
	}
	store, err := a.openStore()
	if err != nil {
		return o, err
	}
	o.Source = contract.Published(dest, store)
	return o, nil
}

// underTest reads which images, or which stack, are to be tested.
func underTest(o *contract.Options, args []string, f testFlags) error {
	if f.stack != "" {
		if len(args) > 0 || f.all {
			return errors.New("--stack names all the images that it starts: name neither images nor --all beside it")
		}
		o.Stacks = []string{f.stack}
		_, err := o.Set.Stack(f.stack, o.Distro, o.Platform)
		return err
	}
	refs, err := o.Set.Select(args, f.all, o.Distro)
	if err != nil {
		return err
	}
	if !f.all {
		refs, err = named(o.Set, args, o.Distro)
	}
	o.Refs = refs
	return err
}

// sandboxCommand is this program as the sandbox's.
func sandboxCommand() []string {
	self, err := os.Executable()
	if err != nil || strings.HasSuffix(self, ".test") {
		self = os.Args[0]
	}
	return []string{self, sandboxName}
}

// tester is push --test: what is not met goes to standard error.
func (a *app) tester(set *recipes.Set, d recipes.Distro) assemble.Tester {
	return func(ctx context.Context, image *recipes.Image, find contract.Source) ([]byte, error) {
		reports, err := contract.Run(ctx, contract.Options{
			Set: set, Distro: d, Platform: image.Platform, Refs: []recipes.Ref{image.Ref}, Source: find,
			Command: sandboxCommand(), Progress: a.sink, Stderr: a.stderr,
		})
		for _, r := range reports {
			for _, c := range r.Checks {
				if !c.OK {
					a.sink.Say("%s does not meet its contract: %s: %s", r.Image, c.Name, c.Found)
				}
			}
		}
		if err != nil {
			return nil, err
		}
		return contract.Predicate(reports[0], image.Name)
	}
}
