package apk

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

// awkward versions, each of which another implementation got wrong.
var awkward = []string{
	"0", "1", "1.0", "1.00", "1.01", "1.1", "1.10", "1.010", "01", "00", "1.0.0", "1.0a", "1.0b", "1.0z", "1.0ab", "1a", "1a1", "1a.1",
	"1_alpha", "1_alpha1", "1_beta", "1_pre2", "1_rc", "1_rc1", "1_cvs", "1_svn", "1_git", "1_git20200101", "1_hg", "1_p", "1_p0", "1_p1",
	"1_p1_git2", "1_rc1_p1", "1_unknown", "1-r0", "1-r1", "1-r01", "1-r10", "1.0-r1", "1_p1-r1", "1-1", "1-", "1_", "1.", "a", ".1", "1..2",
	"1.2.3.4.5", "20240618", "123456789012345678901", "99999999999999999", "1.123456789012345678", "1.0A", "1~2", "1+2", "1:2", "1.0_alpha_beta",
	"1.05", "1.050", "1.5", "1.005", "1.0005", "1.0_", "1.0-r", "1.0-rx", "3.14_rc1-r0", "3.14-r0", "1-r0-r1", "1.-r1", "1 ",
}

// TestCompareVersionsAgreesWithAPK asks the real apk for its verdict on every
// pair of awkward versions and on pairs of the index's own.
func TestCompareVersionsAgreesWithAPK(t *testing.T) {
	o := newOracle(t, false)
	pairs := versionPairs(realPackages(t))
	if !full() {
		random := rand.New(rand.NewPCG(fixedSeed, 4))
		random.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
		pairs = pairs[:60]
	}
	jobs := make(chan [2]string)
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			for p := range jobs {
				said := o.verdict(t, p[0], p[1])
				want := map[string]relation{"<": less, "=": equal, ">": greater, "?": unknown}[said]
				if got := compare(p[0], p[1], false); got != want {
					t.Errorf("%q %q: apk says %q, we say %d", p[0], p[1], said, got)
				}
			}
		})
	}
	for _, p := range pairs {
		jobs <- p
	}
	close(jobs)
	wait.Wait()
	t.Logf("%d pairs", len(pairs))
}

// versionPairs pairs the awkward versions with each other, and every version
// of the index with its neighbour in text order, mostly a near relative, and
// with one drawn at random.
func versionPairs(ix *Index) [][2]string {
	var pairs [][2]string
	for _, a := range awkward {
		for _, b := range awkward {
			pairs = append(pairs, [2]string{a, b})
		}
	}
	var versions []string
	for _, p := range ix.Packages {
		versions = append(versions, p.Version)
	}
	slices.Sort(versions)
	versions = slices.Compact(versions)
	random := rand.New(rand.NewPCG(fixedSeed, 3))
	for i, v := range versions {
		pairs = append(pairs, [2]string{v, versions[(i+1)%len(versions)]}, [2]string{v, versions[random.IntN(len(versions))]})
	}
	return pairs
}

// TestValidVersionAgreesWithAPK holds validity to apk version --check.
func TestValidVersionAgreesWithAPK(t *testing.T) {
	o := newOracle(t, false)
	cmd := o.command(append([]string{"version", "--check"}, awkward...)...)
	out, _ := cmd.Output() // apk exits with the number of bad ones
	bad := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	for _, v := range awkward {
		if got, want := ValidVersion(v), !slices.Contains(bad, v); got != want {
			t.Errorf("%q: valid %t, apk says %t", v, got, want)
		}
	}
}

func FuzzCompareVersions(f *testing.F) {
	for i, v := range awkward {
		f.Add(v, awkward[(i+7)%len(awkward)])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if CompareVersions(a, a) != 0 {
			t.Errorf("%q is not equal to itself", a)
		}
		ValidVersion(a)
		compare(a, b, true)
		if ValidVersion(a) && ValidVersion(b) && CompareVersions(a, b) != -CompareVersions(b, a) {
			t.Errorf("%q and %q: %d and %d", a, b, CompareVersions(a, b), CompareVersions(b, a))
		}
	})
}
