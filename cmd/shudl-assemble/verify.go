package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/sbom"
	"github.com/shudl/shudl-assemble/layers/trust"
	"github.com/shudl/shudl-assemble/layers/verify"
	"github.com/shudl/shudl-assemble/recipes"
)

func (a *app) verify() *cobra.Command {
	var f trustFlags
	var layers, noChain bool
	cmd := &cobra.Command{
		Use:     "verify REF...",
		Short:   "Check signatures, SBOM, provenance, bases and content; exit status 0 only if all hold",
		Long:    verifyHelp,
		Example: verifyExample,
		Args:    usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.output != "" && a.output != "table" && a.output != "json" {
				return usage(fmt.Errorf("--output %s: it is table or json", a.output))
			}
			rules, err := f.rules()
			if err != nil {
				return err
			}
			return a.verifyAll(cmd.Context(), args, verify.Options{Rules: rules, Layers: layers, NoChain: noChain})
		},
	}
	f.add(cmd.Flags())
	cmd.Flags().BoolVar(&layers, "layers", false, "read every layer, hash it, and unpack it to its diffID")
	cmd.Flags().BoolVar(&noChain, "no-chain", false, "leave out the bases, as after a copy without them")
	cmd.Flags().StringVar(&a.output, "output", "", "table or json (default: table)")
	return cmd
}

const verifyHelp = `verify holds images in a registry or folder against those who may have signed them, with nothing but what
is stored there: the signatures of the image and of each platform's, in both of cosign's forms; that SPDX
document and SLSA provenance are signed and speak of this manifest, and a CycloneDX document that is there;
that config and layers are there; and that the base, by its recorded digest, lies in the same destination,
is signed, and is the image's first layers, down to the root. One good signature of the image suffices;
what else lies there is listed. All is checked, also after a failure; the exit status is that of the
first finding that failed (shudl-assemble help exit-status).

Who may sign is one of:
  a key          --key FILE; without any of these flags, the user's own key
  an identity    --certificate-identity and --certificate-oidc-issuer (or their -regexp forms, which match
                 anywhere, as cosign's), with --trusted-root FILE. The signature must be in a transparency
                 log and its certificate in another; --insecure-ignore-tlog, which then needs a signed
                 timestamp, and --insecure-ignore-sct do without. A key needs no log. What was not checked
                 is always said.
  a policy       --policy FILE, which a team keeps in its repository. What it wants beyond the above and
                 does not find ends with exit status 22:

  version: 1
  trusted-root: trusted_root.json        # for identities; beside the policy
  registries: [ghcr.io/org/lakehouse]    # where images may come from: this and below; oci: is any folder
  images:                                # the first entry that matches counts; an image without one is refused
    - match: ["base-*"]                  # globs on the image's name; with a slash, on ghcr.io/org/lakehouse/NAME
      signers: [{key: release.pub}]      # any of them suffices
    - match: ["*"]
      signers:
        - identity: https://github.com/org/lakehouse/.github/workflows/publish.yaml@refs/heads/main
          issuer: https://token.actions.githubusercontent.com
        - identity-regexp: https://github\.com/org/.*   # in a policy, expressions match the whole
          issuer: https://token.actions.githubusercontent.com
          insecure-ignore-sct: true      # or insecure-ignore-tlog
      predicates: [cyclonedx, vex]       # or spdx, slsa-provenance, test-result, or a predicate type's address
      max-age: 90d                       # by the image's own date
      parents: [base-debian]             # all of them, somewhere below the image

With --output json: {"schema": 1, "ok", "status", "references": [{"reference", "digest", "signers", "ok",
"status", "error", "skipped", "findings": [{"check", "image", "digest", "platform", "ok", "status",
"expected", "found", "advice", "others"}]}]}. The exit status is the same in both forms.`

const verifyExample = `  shudl-assemble verify oci:shudl-images/postgresql:17-debian
  shudl-assemble verify ghcr.io/org/repo/postgresql:17-debian --key cosign.pub
  shudl-assemble verify ghcr.io/org/repo/postgresql:17-debian ghcr.io/org/repo/trino:476-debian --policy policy.yaml --output json`

// verifyAll checks every reference and reports each, also after a failure.
func (a *app) verifyAll(ctx context.Context, refs []string, o verify.Options) error {
	var all []verified
	var first error
	for _, ref := range refs {
		report, err := verify.Verify(ctx, ref, o)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		all = append(all, verified{report, err})
		if err != nil {
			if len(refs) > 1 {
				a.sink.Say("error: %v", err)
			}
			if first == nil {
				first = err
			}
		}
	}
	a.quiet()
	write := writeVerified
	if a.output == "json" {
		write = writeVerifiedJSON
	}
	return errors.Join(write(a.stdout, all), first)
}

func (a *app) sbom() *cobra.Command {
	var f trustFlags
	var format string
	var unverified bool
	cmd := &cobra.Command{
		Use:   "sbom REF",
		Short: "Print the SBOM that is attached to an image, once its signature holds",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains([]string{"spdx-json", "cyclonedx-json", "table"}, format) {
				return usage(fmt.Errorf("--format %s: it is spdx-json, cyclonedx-json or table", format))
			}
			platform, err := a.onePlatform()
			if err != nil {
				return err
			}
			rules := verify.Always(verify.Rule{Signers: trust.Signers{trust.Unverified()}})
			if !unverified {
				if rules, err = f.rules(); err != nil {
					return err
				}
			}
			document, err := verify.SBOM(cmd.Context(), args[0], platform, verify.Options{Rules: rules})
			if err != nil {
				return err
			}
			a.quiet()
			if format == "table" {
				return sbom.Table(a.stdout, document)
			}
			if format == "cyclonedx-json" {
				if document, err = sbom.CycloneDX(document); err != nil {
					return err
				}
			}
			_, err = a.stdout.Write(document)
			return err
		},
	}
	f.add(cmd.Flags())
	cmd.Flags().BoolVar(&unverified, "unverified", false, "do not check who signed it")
	cmd.Flags().StringVar(&format, "format", "spdx-json", "spdx-json, cyclonedx-json or table")
	cmd.Flags().StringVar(&a.platforms, "platform", "", "linux/amd64 or linux/arm64 (default: of an index the machine's own)")
	return cmd
}

// onePlatform reads a --platform that names one; it is empty where none was
// given.
func (a *app) onePlatform() (recipes.Platform, error) {
	if a.platforms == "" {
		return "", nil
	}
	list, err := a.platformList()
	if err != nil {
		return "", err
	}
	if len(list) != 1 {
		return "", usage(errors.New("--platform: name one"))
	}
	return list[0], nil
}

func (a *app) copy() *cobra.Command {
	var platform string
	cmd := &cobra.Command{
		Use:   "copy REF DEST",
		Short: "Copy an image with its signatures and attestations",
		Long: "copy brings an image with all its platforms, signatures, attestations and other referrers from one registry\n" +
			"or folder to another, under the same name and tag: the same bytes, only those that are missing, the tag last.\n\n" +
			"A copy into a new folder is a layout of one tag, DIR/IMAGE, which tools read that take one image of a layout:\n" +
			"cosign verify --local-image, umoci, syft. Of several platforms cosign verifies the index; for attestations,\n" +
			"which are of each platform, copy that one with --platform.",
		Example: "  shudl-assemble copy oci:shudl-images/postgresql:17-debian ghcr.io/org/repo\n" +
			"  shudl-assemble copy ghcr.io/org/repo/trino:476-debian oci:one --platform linux/amd64",
		Args: usageArgs(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := publish.ParseReference(args[0], publish.RegistryOptions{})
			if err != nil {
				return usage(err)
			}
			dest, err := publish.ParseDestination(args[1], publish.RegistryOptions{})
			if err != nil {
				return usage(err)
			}
			o := publish.CopyOptions{Jobs: a.jobs, Progress: a.sink}
			if platform != "" {
				if o.Platform, err = recipes.ParsePlatform(platform); err != nil {
					return usage(fmt.Errorf("--platform: %w", err))
				}
			}
			if err := dest.Check(cmd.Context(), []string{from.Image}); err != nil {
				return err
			}
			result, err := publish.Copy(cmd.Context(), from, dest, o)
			if err != nil {
				return err
			}
			a.quiet()
			_, err = fmt.Fprintf(a.stdout, "%s@%s\n", result.Reference, result.Digest)
			return err
		},
	}
	cmd.Flags().IntVar(&a.jobs, "jobs", 0, "how many blobs are copied at a time (default: 4)")
	cmd.Flags().StringVar(&platform, "platform", "", "linux/amd64 or linux/arm64: of an index, only this one (default: all)")
	return cmd
}
