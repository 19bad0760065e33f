package contract_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/shudl/shudl-assemble/layers/contract"
)

// Containers with networks of their own reach each other and are reached by
// name, with one port for all. One that is cut reaches nobody, not even after
// a restart, until it is healed.
const cut = `user: "1000:1000"
healthy: 60s
stop: 10s
cases:
  - name: network
    network: separate
    programs: [{name: helper, run: [sleep, "600"], install: install coreutils}]
    containers:
      - {name: one, env: {HOST: 0.0.0.0}}
      - {name: two, env: {HOST: 0.0.0.0}}
    steps:
      - {name: the names, run: [service, read, /etc/hosts], in: one, prints: "127.0.0.1 localhost\n10.10.10.1 helper\n10.10.10.2 one\n10.10.10.3 two"}
      - {name: one is reached, http: "http://one:8080/health"}
      - {name: two is another, http: "http://two:8080/state", json: {starts: "1"}}
      - {name: one reaches two, run: [service, health], in: one, env: {HOST: two}}
      - {cut: two}
      - {name: one does not reach two, run: [service, health], in: one, env: {HOST: two}, status: 1}
      - {name: two does not reach one, run: [service, health], in: two, env: {HOST: one}, status: 1}
      - {name: two reaches itself, run: [service, health], in: two, env: {HOST: two}}
      - {name: one is still reached, http: "http://one:8080/health"}
      - {restart: two}
      - {name: two is still cut, run: [service, health], in: two, env: {HOST: one}, status: 1}
      - {heal: two}
      - {name: two is back, http: "http://two:8080/state", json: {starts: "2"}, within: 30s}
      - {name: two reaches one, run: [service, health], in: two, env: {HOST: one}, within: 30s}
  - name: a second network after the first
    network: separate
    env: {HOST: 0.0.0.0}
    steps: [{name: it is reached, http: "http://main:8080/state", json: {starts: "1"}}]
`

func TestCut(t *testing.T) {
	report, err := run(t, options(t, cut))
	for _, c := range report.Checks {
		if !c.OK {
			t.Errorf("%s: %s\n%s", c.Name, c.Found, c.Log)
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// A request to a container that is cut fails, and says whom it asked.
func TestNobodyAnswersFromACutContainer(t *testing.T) {
	report, err := run(t, options(t, `user: "1000:1000"
healthy: 60s
stop: 10s
cases:
  - name: network
    network: separate
    env: {HOST: 0.0.0.0}
    steps: [{cut: main}, {name: s, http: "http://main:8080/health"}]
`))
	var unmet *contract.UnmetError
	if !errors.As(err, &unmet) || report.Failed() != 1 {
		t.Fatalf("%v: %+v", err, report.Checks)
	}
	for _, c := range report.Checks {
		if !c.OK && (c.Name != "network: s" || !strings.Contains(c.Found, "10.10.10.2:8080")) {
			t.Errorf("%+v", c)
		}
	}
}

// What a case cannot clear away is a check that fails; what was seen before is
// kept, and the next case is tested. A mount in the case's folder stands for
// it, which goes with the sandbox.
func TestWhatIsLeft(t *testing.T) {
	report, err := run(t, options(t, `user: "1000:1000"
cases:
  - name: first
    programs: [{name: mounts, run: [sh, -c, "trap 'mkdir m && mount -t tmpfs left m; exit' TERM; while :; do sleep 1; done"], install: i}]
    cmd: [exit, "0"]
    exits: 0
  - {name: second, cmd: [exit, "0"], exits: 0}
`))
	var unmet *contract.UnmetError
	if !errors.As(err, &unmet) {
		t.Fatal(err)
	}
	failed := map[string]string{}
	for _, c := range report.Checks {
		if !c.OK {
			failed[c.Name] = c.Found
		}
	}
	if len(failed) != 1 || !strings.Contains(failed["first: nothing of it is left"], "busy") {
		t.Errorf("%v of %+v", failed, report.Checks)
	}
}
