package gobin

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLicenseIn(t *testing.T) {
	mit := "Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files"
	apache := "Apache License Version 2.0, January 2004"
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"one":                 {map[string]string{"LICENSE": mit, "README": apache}, "MIT"},
		"its own and another": {map[string]string{"LICENSE.txt": apache, "LICENSE.libyaml": mit}, "Apache-2.0"},
		"a choice":            {map[string]string{"LICENSE-MIT": mit, "LICENSE-APACHE": apache}, ""},
		"a program":           {map[string]string{"license.go": mit}, ""},
		"unknown":             {map[string]string{"COPYING": "all rights reserved"}, ""},
		"none":                {nil, ""},
	} {
		dir := t.TempDir()
		for file, text := range test.files {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := licenseIn(dir); err != nil || got != test.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, test.want)
		}
	}
}
