package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/shudl/shudl-assemble/layers/attest"
)

// TestMain makes this binary the command that the scripts run.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"shudl-assemble": main})
}

// TestScripts runs the command as a user would: testdata/script/*.txtar.
// Conditions: [shared] where the shared Alpine data lies beside the
// repository (SHARED names it), [network] where SHUDL_TEST_NETWORK=1.
func TestScripts(t *testing.T) {
	shared := sharedAlpine(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, "cache"))
			e.Setenv("XDG_CONFIG_HOME", filepath.Join(e.WorkDir, "config"))
			e.Setenv("GOPROXY", "off")
			e.Setenv("SHARED", shared)
			return os.MkdirAll(filepath.Join(e.WorkDir, "home"), 0o755)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"keypair": keyPair, "lock-of-files": lockOfFiles},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "shared":
				return shared != "", nil
			case "network":
				return os.Getenv("SHUDL_TEST_NETWORK") == "1", nil
			}
			return false, os.ErrInvalid
		},
	})
}

// keyPair is the script command `keypair NAME [PASSWORD]`: it makes NAME.key
// and NAME.pub.
func keyPair(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: keypair NAME [PASSWORD]")
	}
	private, public, err := attest.GenerateKey([]byte(strings.Join(args[1:], " ")))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".key"), private, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".pub"), public, 0o644))
}

// sharedAlpine finds the real, signed Alpine data beside the repository. A
// machine without it runs the other scripts; CI must have it.
func sharedAlpine(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../../shared/alpine")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "v3.19")); err == nil {
		return dir
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("the shared Alpine data (../shared/alpine beside the repository) is missing in CI")
	}
	t.Log("the scripts that need real Alpine data are skipped: ../shared/alpine beside the repository is missing")
	return ""
}
