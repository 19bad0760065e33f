package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

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
	cmd.AddCommand(a.deployCompose(), a.deployKubernetes())
	return cmd
}

const deployStacks = "Stacks: standalone is one PostgreSQL with an exporter of its metrics; ha is Patroni, three members by default;\n" +
	"lakehouse is the standalone PostgreSQL with MinIO, Nessie, Trino, a Spark master and a worker.\n\n" +
	"Images are named by the digests that --from has under the tag of their stream. No password is written; what\n" +
	"makes them is said on standard error. The same images give the same bytes.\n\n"

const deployClosed = "The network policies let every namespace read the metrics of the exporter (9187) and of Nessie (19121), which\n" +
	"have ports of their own. --metrics-from opens Patroni's REST API (8008) and MinIO (9000) to one namespace more:\n" +
	"there Patroni asks for a password for what changes the cluster, and MinIO for everything, for metrics too (mc\n" +
	"admin prometheus generate). The ports of Trino and Spark ask nobody: what reads their metrics runs in the namespace.\n" +
	"In a lakehouse PostgreSQL (5432) is open to Nessie and to the Job that makes the roles alone, MinIO (9000) to Nessie,\n" +
	"Trino, Spark and the Job that makes the bucket: another client of the catalog that reads data by itself needs a\n" +
	"NetworkPolicy of yours beside these.\n\n"

const deployRotation = "A password changes in the Secret (kubectl patch --patch-file), then where it is kept. The Jobs roles and bucket give it to\n" +
	"exporter, nessie and lake; one that has run is not run again by the same manifests until it is deleted:\n\n" +
	"  kubectl -n lakehouse delete job -l 'app.kubernetes.io/name in (roles, bucket)' && kubectl apply -f lakehouse.yaml\n\n" +
	"The password of MinIO's administrator is taken over by a restart of its StatefulSet; those of PostgreSQL, and of\n" +
	"ha superuser, replicator and rewinder, by ALTER ROLE (\\password in psql) on the server or the leader. At last\n" +
	"what reads the password is restarted: kubectl rollout restart."

func (a *app) deployKubernetes() *cobra.Command {
	var o deploy.Options
	var from string
	cmd := &cobra.Command{
		Use:   "kubernetes",
		Short: "Write the manifests of PostgreSQL or of a lakehouse on Kubernetes",
		Long: "deploy kubernetes writes the manifests of a stack, with its services, rights, probes, volumes and network\n" +
			"policies, to standard output. Their pods are admitted under Pod Security \"restricted\". The namespace is not among\n" +
			"them, so that kubectl delete -f leaves it and what else it holds, the volumes and the Secret among that;\n" +
			"standard error says how it is made.\n\n" +
			deployStacks +
			"Passwords come from a Secret of your own, the same one for standalone and for lakehouse, which has more keys.\n\n" +
			deployClosed + deployRotation,
		Example: "  shudl-assemble deploy kubernetes --distro debian --from ghcr.io/org/repo > lakehouse-pg.yaml\n" +
			"  shudl-assemble deploy kubernetes --distro debian --stack lakehouse --registry registry.example/shudl > lakehouse.yaml",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case !cmd.Flags().Changed("members"):
				o.Members = 0 // also of stacks that have none
			case o.Members == 0:
				return usage(errors.New("--members 0: ha has 2 to 5"))
			}
			return a.runDeploy(cmd.Context(), o, from, deploy.Kubernetes)
		},
	}
	flags := cmd.Flags()
	a.deployFlags(cmd, &o, &from, deploy.StackHA)
	flags.StringVar(&o.Registry, "registry", "", "`PREFIX` that the cluster pulls from (default: --from, where that is a registry)")
	flags.StringVar(&o.Namespace, "namespace", "lakehouse", "namespace of all objects")
	flags.BoolVar(&o.CreateNamespace, "create-namespace", false, "write the namespace, too, labelled for Pod Security restricted: kubectl delete -f then deletes whatever it holds")
	flags.StringVar(&o.Name, "name", "", "what the names of all objects begin with, and of ha the name of the cluster (default: lakehouse-pg for ha, else lakehouse)")
	flags.StringVar(&o.Secret, "secret", "", "`NAME` of the Secret with the passwords (default: that of --name with -credentials)")
	flags.StringVar(&o.Store, "dcs", "configmaps", "what Patroni keeps its state in: configmaps or endpoints")
	flags.IntVar(&o.Members, "members", 3, "how many members ha has, 2 to 5; kubectl scale alone gives a new one no rights")
	flags.StringVar(&o.MetricsFrom, "metrics-from", "", "`NAMESPACE` of a Prometheus that may read the metrics of Patroni and MinIO (default: none may)")
	flags.StringVar(&o.StorageClass, "storage-class", "", "`NAME` of the StorageClass of the volumes, which cannot be changed later (default: the cluster's)")
	flags.BoolVar(&o.AnyUID, "any-uid", false, "name no user and group of the pods, which OpenShift's restricted-v2 assigns; refused where an image's contract does not run it as another user")
	flags.BoolVar(&o.Synchronous, "synchronous", false, "begin ha in synchronous mode: no acknowledged row is lost with a leader (later: patronictl edit-config)")
	return cmd
}

func (a *app) deployCompose() *cobra.Command {
	var o deploy.Options
	var from string
	cmd := &cobra.Command{
		Use:   "compose",
		Short: "Write a compose file of PostgreSQL or of a lakehouse",
		Long: "deploy compose writes a file of the Compose Specification, for docker compose or podman-compose, to standard\n" +
			"output: health checks, dependencies, volumes, limits, and no right that a service can do without. Ports for\n" +
			"users are published at 127.0.0.1 alone. ha is refused: Patroni wants Kubernetes or an etcd, which is not\n" +
			"among the images.\n\n" +
			deployStacks +
			"Passwords are read from the folder secrets beside the file.",
		Example: "  shudl-assemble deploy compose --distro debian --from ghcr.io/org/repo > compose.yaml\n" +
			"  shudl-assemble deploy compose --distro debian --stack lakehouse --registry registry.example/shudl > compose.yaml",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runDeploy(cmd.Context(), o, from, deploy.Compose) },
	}
	a.deployFlags(cmd, &o, &from, deploy.StackStandalone)
	cmd.Flags().StringVar(&o.Registry, "registry", "", "`PREFIX` that the images are pulled from (default: --from, where that is a registry)")
	cmd.Flags().StringVar(&o.Name, "name", "", "name of the project (default: lakehouse)")
	return cmd
}

// deployFlags are those of both kinds of manifests.
func (a *app) deployFlags(cmd *cobra.Command, o *deploy.Options, from *string, stack string) {
	flags := cmd.Flags()
	flags.StringVar(&a.distro, "distro", string(recipes.Alpine), "alpine or debian")
	flags.StringVar(&a.recipesDir, "recipes", "", "`DIR` of recipes (default: recipes/ here, else the built-in ones)")
	flags.StringVar(from, "from", defaultDest, "`DEST` that the images were published to: oci:DIR or a registry path")
	flags.StringVar(&o.Stack, "stack", stack, "what is deployed: "+strings.Join(deploy.Stacks(), ", "))
}

func (a *app) runDeploy(ctx context.Context, o deploy.Options, from string, write func(context.Context, deploy.Options) (deploy.Manifests, error)) error {
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
	made, err := write(ctx, o)
	var wrong *deploy.OptionError
	if errors.As(err, &wrong) {
		return usage(err)
	}
	if err != nil {
		return err
	}
	if _, err := a.stdout.Write(made.Text); err != nil {
		return err
	}
	a.sink.Say("%s", made.Notes)
	return nil
}
