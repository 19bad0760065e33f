package main

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/shudl/shudl-assemble/layers/attest"
	"github.com/shudl/shudl-assemble/layers/publish"
	"github.com/shudl/shudl-assemble/layers/sbom"
	"github.com/shudl/shudl-assemble/layers/verify"
	"github.com/shudl/shudl-assemble/recipes"
)

func (a *app) verify() *cobra.Command {
	var key string
	var content bool
	cmd := &cobra.Command{
		Use:     "verify REF...",
		Short:   "Check signature, SBOM and content; exit status 0 only if all hold",
		Example: "  shudl-assemble verify oci:shudl-images/postgresql:17-debian\n  shudl-assemble verify ghcr.io/org/repo/postgresql:17 --key cosign.pub",
		Args:    usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.output != "" && a.output != "text" && a.output != "json" {
				return usage(fmt.Errorf("--output %s: it is text or json", a.output))
			}
			public, err := publicKey(key)
			if err != nil {
				return err
			}
			return a.verifyAll(cmd.Context(), args, verify.Options{Key: public, Layers: content})
		},
	}
	keyFlag(cmd, &key)
	cmd.Flags().BoolVar(&content, "layers", false, "read and hash every layer too")
	cmd.Flags().StringVar(&a.output, "output", "", "text or json (default: text)")
	return cmd
}

// verifyAll checks every reference and reports each, also after a failure.
func (a *app) verifyAll(ctx context.Context, refs []string, o verify.Options) error {
	reports := []verify.Report{}
	var first error
	for _, ref := range refs {
		report, err := verify.Verify(ctx, ref, o)
		reports = append(reports, report)
		if err != nil {
			if len(refs) > 1 {
				a.sink.Say("error: %v", err)
			}
			if first == nil {
				first = err
			}
		}
		if a.output != "json" {
			writeReport(a.stdout, report)
		}
	}
	if a.output == "json" {
		enc := json.NewEncoder(a.stdout)
		enc.SetIndent("", "  ")
		return errors.Join(enc.Encode(reports), first)
	}
	return first
}

func writeReport(w io.Writer, r verify.Report) {
	for _, f := range r.Findings {
		word := "ok    "
		if !f.OK {
			word = "FAILED"
		}
		fmt.Fprintf(w, "%s  %s  %s", word, r.Reference, f.Check)
		if f.Platform != "" {
			fmt.Fprintf(w, " %s", f.Platform)
		}
		fmt.Fprintf(w, ": %s\n", f.Found)
		if !f.OK {
			fmt.Fprintf(w, "        expected: %s\n", f.Expected)
			if f.Advice != "" {
				fmt.Fprintf(w, "        %s\n", f.Advice)
			}
		}
	}
}

func keyFlag(cmd *cobra.Command, key *string) {
	cmd.Flags().StringVar(key, "key", "", "public key `FILE` in PEM (default: that of the user's own key)")
}

// publicKey reads a public key, the user's own where none is named.
func publicKey(path string) (crypto.PublicKey, error) {
	own := ""
	if path == "" {
		dir, err := attest.UserKeyDir()
		if err != nil {
			return nil, err
		}
		own = filepath.Join(dir, attest.PublicKeyFile)
		path = own
	}
	public, err := attest.LoadPublicKey(path)
	if path == own && errors.Is(err, fs.ErrNotExist) {
		return nil, usage(fmt.Errorf("this user has no signing key yet (%s): name the public key of who signed by --key FILE", own))
	}
	if err != nil {
		return nil, usage(fmt.Errorf("--key: %w", err))
	}
	return public, nil
}

func (a *app) sbom() *cobra.Command {
	var key, format string
	var unverified bool
	cmd := &cobra.Command{
		Use:   "sbom REF",
		Short: "Print the SBOM that is attached to an image",
		Args:  usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains([]string{"spdx-json", "cyclonedx-json", "table"}, format) {
				return usage(fmt.Errorf("--format %s: it is spdx-json, cyclonedx-json or table", format))
			}
			platform, err := a.onePlatform()
			if err != nil {
				return err
			}
			var o verify.Options
			if !unverified {
				if o.Key, err = publicKey(key); err != nil {
					return err
				}
			}
			document, err := verify.SBOM(cmd.Context(), args[0], platform, o)
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
	keyFlag(cmd, &key)
	cmd.Flags().BoolVar(&unverified, "unverified", false, "do not check the signature")
	cmd.Flags().StringVar(&format, "format", "spdx-json", "spdx-json, cyclonedx-json or table")
	cmd.Flags().StringVar(&a.platforms, "platform", "", "of an index: linux/amd64 or linux/arm64 (default: the machine's own)")
	return cmd
}

func (a *app) onePlatform() (recipes.Platform, error) {
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
	cmd.Flags().IntVar(&a.jobs, "jobs", 0, "how many blobs are copied at a time")
	cmd.Flags().StringVar(&platform, "platform", "", "linux/amd64 or linux/arm64: of an index, only this one (default: all)")
	return cmd
}
