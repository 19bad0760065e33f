package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shudl/shudl-assemble/layers/assemble"
	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/rebase"
	"github.com/shudl/shudl-assemble/layers/trust"
	"github.com/shudl/shudl-assemble/layers/verify"
	"github.com/shudl/shudl-assemble/layers/verify/policy"
	"github.com/shudl/shudl-assemble/recipes"
)

// rebaseFlags are those of rebase beside what says how things are fetched.
type rebaseFlags struct {
	onto, to, policy string
	sign             signFlags
}

func (a *app) rebase() *cobra.Command {
	var f rebaseFlags
	cmd := &cobra.Command{
		Use:   "rebase REF --onto BASE",
		Short: "Put a published image onto a newer base; its content layers stay",
		Long: "rebase makes a published image anew on another build of its base: state layer, configuration, SBOM and\n" +
			"provenance come from recipes and lock, and the content layers are taken over as they were published.\n" +
			"Each is held to the recipe: its files are laid out and hashed, not compressed, not downloaded and not sent.\n" +
			"The result is the image that push would make, digest for digest, and it is signed and tagged as push does.\n\n" +
			"`lock --refresh base` moves the base alone, and refuses where a service needs what the new base lacks;\n" +
			"`push base` publishes it; then each image is rebased onto its parent, from the root upwards.\n\n" +
			"Image and base must verify, so that nothing unsigned comes out signed: by the key that signs now, or as\n" +
			"--policy says, which --keyless needs. Refused are a base that is not the parent or not what recipes and lock\n" +
			"make, a service whose own recipe or artefacts have changed (push makes it anew), and a base that changes\n" +
			"a folder which a content layer repeats. An image that stands on this base already is left alone.",
		Example: "  shudl-assemble lock --refresh base --distro debian && shudl-assemble push base --distro debian\n" +
			"  shudl-assemble rebase oci:shudl-images/minio:latest-debian --onto oci:shudl-images/base-debian:latest-debian",
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.rebaseImage(cmd.Context(), args[0], f)
		},
	}
	flags := cmd.Flags()
	a.fetchFlags(flags)
	a.outputFlag(flags)
	flags.StringVar(&a.recipesDir, "recipes", "", "`DIR` of recipes (default: recipes/ here, else the built-in ones)")
	flags.StringVar(&f.onto, "onto", "", "`BASE`: the parent's reference, by tag or digest")
	flags.StringVar(&f.to, "to", "", "`DEST`, which is oci:DIR, or a registry path such as ghcr.io/org/repo (default: where REF is)")
	f.sign.add(flags)
	flags.StringVar(&f.policy, "policy", "", "`FILE` that says who may have signed image and base (default: the key that signs now)")
	return cmd
}

func (a *app) rebaseImage(ctx context.Context, ref string, f rebaseFlags) error {
	if f.onto == "" {
		return usage(errors.New("--onto BASE is missing: the parent's reference, which the image is put onto"))
	}
	write, err := a.resultWriter()
	if err != nil {
		return err
	}
	dest, here, err := f.destination(ref)
	if err != nil {
		return err
	}
	by, err := f.sign.find(ctx, a, dest)
	if err != nil {
		return err
	}
	rules, err := f.rules(by.signer)
	if err != nil {
		return err
	}
	found, err := rebase.Find(ctx, ref, f.onto, rebase.Options{Rules: rules, Layers: f.policy != ""})
	if err != nil {
		return err
	}
	if found.Done() && here {
		a.sink.Say("%s stands on %s already: nothing to do", ref, f.onto)
		return nil
	}
	a.distro, a.platforms, a.locked = string(found.Distro()), joined(found.Platforms()), true
	w, err := a.start(ctx, []string{found.Ref().String()}, false)
	if err != nil {
		return err
	}
	lock, err := w.fillLock(ctx)
	if err != nil {
		return err
	}
	var result assemble.Result
	err = w.withLock(ctx, lock, func(o assemble.Options) (err error) {
		o.Dest, o.Signer, o.Format = dest, by.signer, by.format
		result, err = found.Run(ctx, o)
		return err
	})
	a.quiet()
	if err != nil {
		return err
	}
	return write(result)
}

// destination is where the image is, unless --to says otherwise: here says
// which. The base must be there too, or the result would not verify.
func (f *rebaseFlags) destination(ref string) (dest publish.Destination, here bool, err error) {
	image, err := publish.ParseReference(ref, publish.RegistryOptions{})
	if err != nil {
		return nil, false, usage(err)
	}
	base, err := publish.ParseReference(f.onto, publish.RegistryOptions{})
	if err != nil {
		return nil, false, usage(err)
	}
	dest = image.Destination
	if f.to != "" {
		if dest, err = publish.ParseDestination(f.to, publish.RegistryOptions{}); err != nil {
			return nil, false, usage(err)
		}
	}
	if !publish.SamePlace(base.Destination, dest) {
		return nil, false, usage(fmt.Errorf("--onto %s: the image goes to %s, where its base must be too: push or copy it there first", f.onto, dest))
	}
	return dest, publish.SamePlace(image.Destination, dest), nil
}

// joined writes platforms as --platform takes them.
func joined(platforms []recipes.Platform) string {
	names := make([]string, 0, len(platforms))
	for _, p := range platforms {
		names = append(names, string(p))
	}
	return strings.Join(names, ",")
}

// rules say who may have signed what is rebased.
func (f *rebaseFlags) rules(signer attest.Signer) (verify.Rules, error) {
	if f.policy != "" {
		p, err := policy.Open(f.policy)
		if err != nil {
			return nil, usage(fmt.Errorf("--policy: %w", err))
		}
		return p.Rule, nil
	}
	key, ok := signer.(*attest.Key)
	if !ok {
		return nil, usage(errors.New("--keyless: say by --policy who may have signed the image and its base"))
	}
	trusted, err := trust.Key(key.Public())
	if err != nil {
		return nil, err
	}
	return verify.Always(verify.Rule{Signers: trust.Signers{trusted}}), nil
}
