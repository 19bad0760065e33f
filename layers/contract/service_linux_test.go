package contract_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shudl/shudl-assemble/layers/contract"
)

// TestMain makes this binary three programs: the tests, the program of their
// sandboxes, and what the image under test holds.
func TestMain(m *testing.M) {
	switch {
	case filepath.Base(os.Args[0]) == "service":
		os.Exit(service(os.Args[1:]))
	case filepath.Base(os.Args[0]) == "env":
		// What an image's env does: find a program and become it.
		path, err := exec.LookPath(os.Args[2])
		if err == nil {
			err = syscall.Exec(path, os.Args[2:], os.Environ())
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(127)
	case len(os.Args) > 1 && os.Args[1] == "inside":
		if err := contract.Inside(context.Background(), os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// service is a small server, well-behaved unless its environment says
// otherwise, and the commands that look at it.
func service(args []string) int {
	host := os.Getenv("HOST")
	if host == "" {
		host = "127.0.0.1"
	}
	address := host + ":" + os.Getenv("PORT")
	switch args[0] {
	case "serve":
		return serve(address)
	case "health":
		if once := os.Getenv("DATA") + "/hung"; os.Getenv("HANG") != "" && os.WriteFile(once, nil, 0o400) == nil {
			time.Sleep(time.Hour)
		}
		answer, err := (&http.Client{Timeout: 4 * time.Second}).Get("http://" + address + "/health")
		if err != nil || answer.StatusCode != http.StatusOK {
			return 1
		}
	case "id":
		fmt.Printf("%d:%d %s\n", os.Getuid(), os.Getgid(), os.Getenv("HOME"))
	case "exit":
		status, _ := strconv.Atoi(args[1])
		fmt.Println("leaving")
		fmt.Fprint(os.Stderr, os.Getenv("COMPLAINT"))
		return status
	case "read":
		data, err := os.ReadFile(args[1])
		if err != nil {
			fmt.Println(err)
			return 1
		}
		os.Stdout.Write(data)
	case "write":
		if err := os.WriteFile(args[1], []byte("x"), 0o600); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	return 0
}

// serve counts its starts in the volume.
func serve(address string) int {
	log.SetFlags(0)
	starts := 0
	name := os.Getenv("DATA") + "/starts"
	if data, err := os.ReadFile(name); err == nil {
		starts, _ = strconv.Atoi(string(data))
	}
	starts++
	if err := os.WriteFile(name, []byte(strconv.Itoa(starts)), 0o600); err != nil {
		say(err.Error())
		return 1
	}
	say("start " + strconv.Itoa(starts))
	http.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		if os.Getenv("SICK") != "" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	http.HandleFunc("/state", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		json.NewEncoder(w).Encode(map[string]any{"starts": starts, "said": string(body), "list": []any{1, map[string]any{"deep": true}}})
	})
	http.HandleFunc("/later", func(http.ResponseWriter, *http.Request) {
		time.AfterFunc(time.Second, func() { say("it comes after its answer") })
	})
	http.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "# TYPE starts counter\nstarts %d\n%s\n", starts, os.Getenv("MORE_METRICS"))
	})
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		for range signals {
			switch {
			case os.Getenv("STUBBORN") != "":
			case os.Getenv("ANGRY") != "":
				os.Exit(3)
			default:
				say("goodbye")
				os.Exit(0)
			}
		}
	}()
	say(http.ListenAndServe(address, nil).Error())
	return 1
}

func say(text string) {
	if strings.HasPrefix(os.Getenv("LOG"), "json") {
		data, _ := json.Marshal(map[string]string{"message": text})
		text = string(data)
	}
	if os.Getenv("LOG") == "json-mostly" {
		log.Print("plain words")
	}
	log.Print(text)
}
