package license

import (
	"slices"
	"strings"
	"testing"
)

func TestFromName(t *testing.T) {
	for name, want := range map[string]string{
		"The Apache Software License, Version 2.0":        "Apache-2.0",
		"https://www.apache.org/licenses/LICENSE-2.0.txt": "Apache-2.0",
		"Apache-2.0":      "Apache-2.0",
		"MIT License":     "MIT",
		"The MIT License": "MIT",
		"http://www.opensource.org/licenses/mit-license.php": "MIT",
		"BSD-3-Clause":                                  "BSD-3-Clause",
		"Eclipse Public License - v 2.0":                "EPL-2.0",
		"GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
		"GPL2 w/ CPE, GPL 2 with classpath exception":   "GPL-2.0-with-classpath-exception",
		"Mozilla Public License 2.0":                    "MPL-2.0",
		"Python Software Foundation License":            "PSF-2.0",
		"ISC License (ISCL)":                            "ISC",
		// What SPDX's list has, by address, by id and in expressions.
		"http://www.opensource.org/licenses/BSD-3-Clause": "BSD-3-Clause",
		"https://opensource.org/licenses/CDDL-1.0":        "CDDL-1.0",
		"bsl-1.0":                    "BSL-1.0",
		"EUPL-1.2 OR LicenseRef-own": "EUPL-1.2 OR LicenseRef-own",
		"BSD License":                "", // which one is not said
		"Apache Software License":    "",
		"Proprietary":                "",
		"":                           "",
		"permit everything":          "",
	} {
		if got := FromName(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestFromText(t *testing.T) {
	for text, want := range map[string]string{
		"                                 Apache License\n                           Version 2.0, January 2004\n":                                                    "Apache-2.0",
		"Copyright (c) X\n\n// Permission is hereby granted, free of charge, to any person obtaining a copy\n// of this software and associated documentation files": "MIT",
		"Redistribution and use in source and binary forms ... Neither the name of X nor":                                                                            "BSD-3-Clause",
		"Redistribution and use in source and binary forms, with or without":                                                                                         "BSD-2-Clause",
		"                    GNU AFFERO GENERAL PUBLIC LICENSE\n                       Version 3, 19 November 2007":                                                  "AGPL-3.0-only",
		"Apache License Version 2.0, January 2004 and GNU AFFERO GENERAL PUBLIC LICENSE Version 3, 19 November 2007":                                                 "", // two of them
		"Creative Commons Legal Code\n\nCC0 1.0 Universal":                                                                                                           "CC0-1.0",
		"all rights reserved": "",
	} {
		if got := FromText([]byte(text)); got != want {
			t.Errorf("%.60q: got %q, want %q", text, got, want)
		}
	}
}

func TestLeading(t *testing.T) {
	apache := "Apache License\nVersion 2.0, January 2004\n" + strings.Repeat("terms ", 2000)
	agpl := "GNU AFFERO GENERAL PUBLIC LICENSE Version 3, 19 November 2007"
	if got := Leading([]byte(apache + agpl)); got != "Apache-2.0" {
		t.Errorf("of a file that begins with it: %q", got)
	}
	if got := Texts([]byte(apache + agpl)); !slices.Equal(got, []string{"Apache-2.0", "AGPL-3.0-only"}) {
		t.Errorf("%q", got)
	}
}
