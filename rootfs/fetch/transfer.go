package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/shudl/shudl-assemble/rootfs/interrupt"
	"github.com/shudl/shudl-assemble/rootfs/progress"
)

// retries is how often one mirror is asked again after a passing fault; as
// many bytes as progressBytes in between begin the count anew.
const (
	retries       = 3
	progressBytes = 256 << 10
)

// from brings a file from one place into the store.
func (f *Fetcher) from(ctx context.Context, r Request, p place) (Result, error) {
	if p.file == "" {
		if err := f.shared.hosts.check(p.url); err != nil {
			return Result{}, err
		}
	}
	part, err := f.Store.partial(ctx, r, p)
	if err != nil {
		return Result{}, &storeError{err}
	}
	defer part.close()
	if r.SHA256 != "" {
		// Another process may have brought it while this one waited.
		if size, ok := f.Store.Has(r.SHA256); ok {
			part.discard()
			return Result{SHA256: r.SHA256, Size: size}, nil
		}
	}
	task := f.sink().Start("fetch", r.title())
	t := &transfer{fetcher: f, request: r, place: p, part: part, task: task}
	res, err := t.run(ctx)
	if err != nil {
		err = f.shared.logins.redact(err, p.url)
	}
	task.Done(err)
	return res, err
}

// transfer is one download from one place.
type transfer struct {
	fetcher *Fetcher
	request Request
	place   place
	part    *partial
	task    progress.Task
	etag    string // of what part holds, where this mirror gave a strong one
	final   string // the address after redirects
}

func (t *transfer) run(ctx context.Context) (Result, error) {
	if t.request.Size > 0 {
		t.task.Total(t.request.Size)
	}
	resumed := t.part.size > 0
	if resumed {
		t.task.Add(t.part.size)
	}
	early, err := t.part.follow(ctx, t.request.early)
	if err != nil {
		return Result{}, &storeError{err}
	}
	defer early.close()
	if err := t.load(ctx); err != nil {
		return Result{}, err
	}
	t.part.growing.end(io.EOF)
	res, err := t.finish(ctx)
	var mismatch *MismatchError
	if errors.As(err, &mismatch) && resumed {
		// What was resumed may have been wrong from its start.
		if err := t.part.reset(); err != nil {
			return Result{}, err
		}
		if err := t.load(ctx); err != nil {
			return Result{}, err
		}
		res, err = t.finish(ctx)
	}
	if err != nil {
		return Result{}, errors.Join(err, t.part.reset())
	}
	if err := early.whole(); err != nil {
		return Result{}, &storeError{err}
	}
	return res, nil
}

// load reads until the file is whole, again after passing faults.
func (t *transfer) load(ctx context.Context) error {
	for failures := 0; ; {
		before := t.part.size
		err := t.once(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if t.part.size-before >= progressBytes {
			failures = 0
		}
		wait, again := passing(err, t.fetcher.pause()<<failures)
		if failures++; !again || failures > retries {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// once makes one request, or reads one file.
func (t *transfer) once(ctx context.Context) error {
	if t.place.file != "" {
		return t.readFile(ctx)
	}
	if t.request.Size > 0 && t.part.size == t.request.Size {
		return nil // cut after the last byte
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.place.url.String(), nil)
	if err != nil {
		return errors.New("not an address that can be asked")
	}
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Accept-Encoding", "identity")
	if t.request.Accept != "" {
		req.Header.Set("Accept", t.request.Accept)
	}
	t.askForRest(req)
	t.fetcher.shared.logins.apply(req)
	resp, err := t.fetcher.shared.client.Do(req)
	if err != nil {
		if unreachable(err) {
			t.fetcher.shared.hosts.bury(t.place.url, t.fetcher.shared.logins.redact(err, t.place.url))
		}
		return err
	}
	defer resp.Body.Close()
	t.final = clean(resp.Request.URL)
	if err := t.accept(resp); err != nil {
		return err
	}
	watch := time.AfterFunc(stallTimeout, func() { cancel(errStalled) })
	defer watch.Stop()
	err = t.copy(ctx, resp.Body, func() { watch.Reset(stallTimeout) })
	if err != nil && context.Cause(ctx) == errStalled {
		return errStalled
	}
	return err
}

var errStalled = fmt.Errorf("no byte for %v", stallTimeout)

// errRange passes: the partial file is emptied, and the next request asks for
// all of it.
var errRange = errors.New("it gave another range than the one asked for")

// askForRest asks for what is missing (RFC 9110, range requests). Without a
// sha256 to check at the end, only a strong ETag says that the file is the
// same; without that, it begins anew.
func (t *transfer) askForRest(req *http.Request) {
	if t.part.size == 0 {
		return
	}
	if t.request.SHA256 == "" {
		if t.etag == "" {
			return
		}
		req.Header.Set("If-Range", t.etag)
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-", t.part.size))
}

// accept looks at the answer's head and brings the partial file in line.
func (t *transfer) accept(resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusOK:
		if err := t.part.reset(); err != nil {
			return err
		}
	case http.StatusPartialContent:
		if start, ok := rangeStart(resp.Header.Get("Content-Range")); !ok || start != t.part.size {
			return errors.Join(errRange, t.part.reset())
		}
	case http.StatusRequestedRangeNotSatisfiable:
		return errors.Join(errRange, t.part.reset())
	default:
		return &statusAnswer{StatusError{resp.StatusCode}, retryAfter(resp.Header.Get("Retry-After"))}
	}
	t.etag = ""
	if tag := resp.Header.Get("ETag"); len(tag) > 1 && tag[0] == '"' {
		t.etag = tag
	}
	if resp.ContentLength < 0 {
		return nil
	}
	whole := t.part.size + resp.ContentLength
	if t.request.Size > 0 && whole != t.request.Size {
		return errors.Join(&SizeError{Got: whole, Want: t.request.Size}, t.part.reset())
	}
	if whole > t.request.limit() {
		return &SizeError{Got: -1, Want: t.request.limit()}
	}
	t.task.Total(whole)
	return nil
}

// copy appends a body to the partial file, never more than the limit.
func (t *transfer) copy(ctx context.Context, body io.Reader, alive func()) error {
	room := t.request.limit() - t.part.size
	n, err := io.Copy(&counting{t.part, t.task, alive}, interrupt.Reader(ctx, io.LimitReader(body, room+1)))
	if n > room {
		return errors.Join(&SizeError{Got: -1, Want: t.request.limit()}, t.part.reset())
	}
	if err != nil {
		return err
	}
	if t.request.Size > 0 && t.part.size < t.request.Size {
		return fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, &SizeError{Got: t.part.size, Want: t.request.Size})
	}
	return nil
}

func (t *transfer) readFile(ctx context.Context) error {
	if err := t.part.reset(); err != nil {
		return err
	}
	info, err := os.Stat(t.place.file)
	if err != nil {
		return withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return &answerError{"not a regular file"}
	}
	if t.request.Size > 0 && info.Size() != t.request.Size {
		return &SizeError{Got: info.Size(), Want: t.request.Size}
	}
	f, err := os.Open(t.place.file)
	if err != nil {
		return withoutPath(err)
	}
	defer f.Close()
	t.final = clean(t.place.url)
	t.task.Total(info.Size())
	return t.copy(ctx, f, func() {})
}

// finish checks the whole file and gives it to the store.
func (t *transfer) finish(ctx context.Context) (Result, error) {
	got := t.part.digest()
	size := t.part.size
	if want := t.request.SHA256; want != "" && got != want {
		return Result{}, &MismatchError{Want: want, Got: got, Size: size}
	}
	if check := t.request.Check; check != nil {
		if _, err := t.part.file.Seek(0, io.SeekStart); err != nil {
			return Result{}, err
		}
		if err := check(t.part.file); err != nil {
			return Result{}, err
		}
	}
	if err := t.part.keep(got); err != nil {
		return Result{}, &storeError{err}
	}
	return Result{SHA256: got, Size: size, Mirror: t.place.mirror, URL: t.final}, nil
}

// counting tells progress and the watchdog of each write.
type counting struct {
	part  *partial
	task  progress.Task
	alive func()
}

func (c *counting) Write(b []byte) (int, error) {
	n, err := c.part.Write(b)
	c.task.Add(int64(n))
	c.alive()
	if err != nil {
		err = &storeError{fmt.Errorf("store: %w", err)}
	}
	return n, err
}

// answerError is an answer that makes no sense.
type answerError struct{ what string }

func (e *answerError) Error() string { return "it gave " + e.what }

// statusAnswer is a StatusError with the wait that came with it.
type statusAnswer struct {
	StatusError
	after time.Duration
}

// Unwrap gives the plain status.
func (s *statusAnswer) Unwrap() error { return &s.StatusError }

// passing says whether a fault may be gone after a while, and how long to
// wait: the given pause with some chance in it, or as long as the mirror says,
// at most ten seconds.
func passing(err error, pause time.Duration) (time.Duration, bool) {
	wait := time.Duration(float64(pause) * (0.75 + rand.Float64()/2))
	var status *statusAnswer
	if errors.As(err, &status) {
		switch status.Code {
		case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
			http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return min(max(wait, status.after), 10*time.Second), true
		}
		return 0, false
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return wait, true // though a *SizeError says by how much
	}
	var answer *answerError
	var size *SizeError
	var path *fs.PathError
	// A folder that does not have the file will not have it in a second.
	local := errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)
	lasting := local || unreachable(err) || errors.As(err, &answer) || errors.As(err, &size) || errors.As(err, &path)
	return wait, !lasting
}

func retryAfter(value string) time.Duration {
	seconds, err := strconv.Atoi(value)
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(min(seconds, 60)) * time.Second
}

// rangeStart reads "bytes 100-199/200".
func rangeStart(value string) (int64, bool) {
	var start, end int64
	if _, err := fmt.Sscanf(value, "bytes %d-%d/", &start, &end); err != nil {
		return 0, false
	}
	return start, true
}

func withoutPath(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
