package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/shudl/shudl-assemble/layers/deploy"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/recipes"
)

func (a *app) deploy() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deploy",
		Short: "Write manifests that run the images, each by its digest",
		Args:  usageArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.deployKubernetes())
	return cmd
}

func (a *app) deployKubernetes() *cobra.Command {
	var o deploy.Options
	var from string
	cmd := &cobra.Command{
		Use:   "kubernetes",
		Short: "Write the manifests of a highly available PostgreSQL on Kubernetes",
		Long: "deploy kubernetes writes the manifests of three Patroni members, with their services, rights, probes,\n" +
			"volumes, disruption budget and network policy, to standard output. The namespace admits only pods under\n" +
			"Pod Security \"restricted\".\n\n" +
			"Images are named by the digests that --from has under the tag of their stream. No password is written:\n" +
			"the pods refer to a Secret, and what makes it is said on standard error. The same images give the same bytes.",
		Example: "  shudl-assemble deploy kubernetes --distro debian --from ghcr.io/org/repo | kubectl apply -f -\n" +
			"  shudl-assemble deploy kubernetes --distro debian --registry registry.example/shudl > patroni.yaml",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runDeploy(cmd.Context(), o, from) },
	}
	flags := cmd.Flags()
	flags.StringVar(&a.distro, "distro", string(recipes.Alpine), "alpine or debian")
	flags.StringVar(&a.recipesDir, "recipes", "", "`DIR` of recipes (default: recipes/ here, else the built-in ones)")
	flags.StringVar(&from, "from", defaultDest, "`DEST` that the images were published to: oci:DIR or a registry path")
	flags.StringVar(&o.Registry, "registry", "", "`PREFIX` that the cluster pulls from (default: --from, where that is a registry)")
	flags.StringVar(&o.Namespace, "namespace", "lakehouse", "namespace of all objects")
	flags.StringVar(&o.Name, "name", "lakehouse-pg", "name of the cluster, its pods and its leader's service")
	flags.StringVar(&o.Secret, "secret", "", "`NAME` of the Secret with the passwords (default: that of --name with -credentials)")
	flags.StringVar(&o.Store, "dcs", "configmaps", "what Patroni keeps its state in: configmaps or endpoints")
	return cmd
}

func (a *app) runDeploy(ctx context.Context, o deploy.Options, from string) error {
	var err error
	if o.Distro, err = recipes.ParseDistro(a.distro); err != nil {
		return usage(fmt.Errorf("--distro: %w", err))
	}
	o.Platform = recipes.LinuxAMD64 // the manifests are the same for all: an index is named where there is one
	if o.Set, err = recipes.Open(a.recipeFolder()); err != nil {
		return usage(err)
	}
	if o.From, err = publish.ParseDestination(from, publish.RegistryOptions{}); err != nil {
		return usage(err)
	}
	text, err := deploy.HA(ctx, o)
	var wrong *deploy.OptionError
	if errors.As(err, &wrong) {
		return usage(err)
	}
	if err != nil {
		return err
	}
	if _, err := a.stdout.Write(text); err != nil {
		return err
	}
	a.sink.Say("%s", o.Notes())
	return nil
}
