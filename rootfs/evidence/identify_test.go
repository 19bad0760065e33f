package evidence

import "testing"

// Names of jars as Trino and Spark have them.
func TestIdentify(t *testing.T) {
	jarOf := func(path string, j Jar, parts ...Part) File {
		for i := range parts {
			parts[i].Type = "maven"
		}
		return File{Path: path, Facts: Facts{Jar: &j, Parts: parts}}
	}
	files := []File{
		jarOf("poms.jar", Jar{Mentions: []string{
			"com.google.code.findbugs:jsr305", "com.intellij:annotations", "io.opentelemetry.semconv:semconv", "io.trino:trino-iceberg:476",
			"org.jetbrains:annotations", "org.lz4:lz4-java:1.8.0", "at.yawk.lz4:lz4-java:1.10.1", "org.postgresql:postgresql", "org.testcontainers:postgresql",
			"javax.xml.stream:stax-api", "stax:stax-api", "io.opentelemetry.instrumentation:opentelemetry-aws-sdk-2.2",
		}}),
		jarOf("lib/netty-epoll-4.1-linux-x86_64.jar", Jar{}, Part{Namespace: "io.netty", Name: "netty-epoll", Version: "4.1"}),
		jarOf("lib/com....google_api-v1-rev2.jar", Jar{}, Part{Namespace: "com.google", Name: "api", Version: "v1-rev2"}),
		jarOf("lib/com.google.guava_guava-33.4-jre.jar", Jar{}),
		jarOf("lib/aopalliance_aopalliance-1.0.jar", Jar{}),
		jarOf("lib/jsr305-3.0.0.jar", Jar{}),
		jarOf("lib/annotations-17.0.0.jar", Jar{Module: "org.jetbrains.annotations"}),
		jarOf("lib/annotations-13.0.jar", Jar{}),
		jarOf("lib/stax-api-1.0.1.jar", Jar{}),
		jarOf("lib/lz4-java-1.8.0.jar", Jar{}),
		jarOf("lib/io.ope...mconv_semconv-1.32.0-alpha.jar", Jar{}),
		jarOf("lib/io.un...known_thing-1.0.jar", Jar{}),
		jarOf("lib/org.postgresql_postgresql-42.7.6.jar", Jar{}),
		jarOf("lib/io.opente...mentation_opentelemetry-aws-sdk-2.2-2.16.0-alpha.jar", Jar{Version: "2.16.0-alpha"}),
		jarOf("lib/json4s-ast_2.13-4.0.7.jar", Jar{Title: "json4s-ast", VendorID: "org.json4s", Version: "4.0.7"}),
		jarOf("lib/runtime-4.0_2.13-1.11.0.jar", Jar{Version: "1.11.0"}),
		jarOf("lib/trino-iceberg-476-services.jar", Jar{}),
		jarOf("lib/jrt-fs.jar", Jar{}),
	}
	want := map[string]string{
		"lib/netty-epoll-4.1-linux-x86_64.jar":                                 "pkg:maven/io.netty/netty-epoll@4.1?classifier=linux-x86_64&type=jar",
		"lib/com....google_api-v1-rev2.jar":                                    "pkg:maven/com.google/api@v1-rev2",
		"lib/com.google.guava_guava-33.4-jre.jar":                              "pkg:maven/com.google.guava/guava@33.4-jre",
		"lib/aopalliance_aopalliance-1.0.jar":                                  "pkg:maven/aopalliance/aopalliance@1.0",
		"lib/jsr305-3.0.0.jar":                                                 "pkg:maven/com.google.code.findbugs/jsr305@3.0.0",
		"lib/annotations-17.0.0.jar":                                           "pkg:maven/org.jetbrains/annotations@17.0.0",
		"lib/annotations-13.0.jar":                                             "", // two groups have one
		"lib/stax-api-1.0.1.jar":                                               "",
		"lib/lz4-java-1.8.0.jar":                                               "pkg:maven/org.lz4/lz4-java@1.8.0",
		"lib/io.ope...mconv_semconv-1.32.0-alpha.jar":                          "pkg:maven/io.opentelemetry.semconv/semconv@1.32.0-alpha",
		"lib/io.un...known_thing-1.0.jar":                                      "",
		"lib/org.postgresql_postgresql-42.7.6.jar":                             "pkg:maven/org.postgresql/postgresql@42.7.6",
		"lib/io.opente...mentation_opentelemetry-aws-sdk-2.2-2.16.0-alpha.jar": "pkg:maven/io.opentelemetry.instrumentation/opentelemetry-aws-sdk-2.2@2.16.0-alpha",
		"lib/json4s-ast_2.13-4.0.7.jar":                                        "pkg:maven/org.json4s/json4s-ast_2.13@4.0.7",
		"lib/runtime-4.0_2.13-1.11.0.jar":                                      "",
		"lib/trino-iceberg-476-services.jar":                                   "pkg:maven/io.trino/trino-iceberg@476?classifier=services&type=jar",
	}
	got := map[string]Component{}
	for _, c := range Components(files) {
		if c.Whole {
			got[c.Path] = c
		}
	}
	for path, purl := range want {
		c, ok := got[path]
		if !ok || c.PURL != purl || c.Name == "" || c.Version == "" {
			t.Errorf("%s: %q (%s %s), want %q", path, c.PURL, c.Name, c.Version, purl)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d jars with a name, want %d", len(got), len(want))
	}
	if c := got["lib/runtime-4.0_2.13-1.11.0.jar"]; c.Name != "runtime-4.0_2.13" || c.Version != "1.11.0" {
		t.Errorf("%+v", c)
	}
	if c := got["lib/io.un...known_thing-1.0.jar"]; c.Name != "thing" || c.Method != Filename {
		t.Errorf("%+v", c)
	}
}

func TestSame(t *testing.T) {
	if !Same("pkg:maven/g/a@1?type=tar.gz", "pkg:maven/g/a@1") || Same("pkg:maven/g/a@1", "pkg:maven/g/a@2") || Same("", "") {
		t.Error("releases are told apart by name and version")
	}
}
