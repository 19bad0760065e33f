// Package writes keeps writing rows to a PostgreSQL cluster, through whichever
// member leads, and knows which of them were acknowledged and for how long
// none was.
package writes

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// pace is the pause between two rows, and before another try.
	pace = 20 * time.Millisecond
	// patience bounds one connection or row. A row that waits for a follower
	// which is gone is given up, and counts as not acknowledged.
	patience = 5 * time.Second
)

// table holds a row for each number that was tried.
const table = "shudl_writes"

// Database is a PostgreSQL cluster. The URL may name several hosts, as libpq's
// does, and wants target_session_attrs=read-write to find the one that leads.
type Database struct {
	URL string
	// Lookup gives the addresses of a host; nil asks the system.
	Lookup func(ctx context.Context, host string) ([]string, error)
}

// Writer writes in the background until Stop.
type Writer struct {
	db   Database
	stop context.CancelFunc
	done sync.WaitGroup

	mu    sync.Mutex
	acked []int64   // numbers of the rows that were acknowledged, rising
	begun time.Time // when the last acknowledged row was sent
	last  time.Time // when it was acknowledged
	gap   time.Duration
	fault error // of the last try that failed
}

// Start makes the table and begins. An error means that nobody takes writes
// yet.
func Start(ctx context.Context, db Database) (*Writer, error) {
	conn, err := db.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS "+table+" (n bigint PRIMARY KEY)"); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	w := &Writer{db: db, stop: stop, last: time.Now()}
	w.done.Go(func() { w.run(ctx) })
	return w, nil
}

func (db Database) connect(ctx context.Context) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(db.URL)
	if err != nil {
		return nil, err
	}
	if db.Lookup != nil {
		config.LookupFunc = db.Lookup
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return pgx.ConnectConfig(ctx, config)
}

// run gives every try a number of its own: one whose answer is lost may have
// been written or not, and is never tried again.
func (w *Writer) run(ctx context.Context) {
	var conn *pgx.Conn
	for n := int64(1); ctx.Err() == nil; n++ {
		began := time.Now()
		err := w.row(ctx, &conn, n)
		w.note(n, began, err)
		if err != nil && conn != nil {
			drop(conn)
			conn = nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(pace):
		}
	}
	if conn != nil {
		drop(conn)
	}
}

// drop closes a connection without waiting long for a peer that may be gone.
func drop(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), pace)
	defer cancel()
	conn.Close(ctx)
}

func (w *Writer) row(ctx context.Context, conn **pgx.Conn, n int64) (err error) {
	if *conn == nil {
		if *conn, err = w.db.connect(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err = (*conn).Exec(ctx, "INSERT INTO "+table+" VALUES ($1)", n)
	return err
}

func (w *Writer) note(n int64, began time.Time, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.fault = err
		return
	}
	now := time.Now()
	w.gap = max(w.gap, now.Sub(w.last))
	w.acked, w.begun, w.last = append(w.acked, n), began, now
}

// Mark forgets how long writes have stopped so far: an event begins.
func (w *Writer) Mark() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gap = 0
}

// Stopped is the longest time between two acknowledged rows since Mark. An
// error means that no row that was sent after a moment is acknowledged yet.
func (w *Writer) Stopped(after time.Time) (time.Duration, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.acked) == 0 || !w.begun.After(after) {
		return 0, fmt.Errorf("no row was acknowledged for %s: %w", time.Since(w.last).Round(time.Millisecond), w.fault)
	}
	return w.gap, nil
}

// Stop ends writing and gives the numbers of all acknowledged rows.
func (w *Writer) Stop() []int64 {
	w.stop()
	w.done.Wait()
	return w.acked
}

// Lost counts those of the numbers that a server does not hold.
func Lost(ctx context.Context, db Database, acked []int64) (int, error) {
	conn, err := db.connect(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, "SELECT n FROM "+table)
	if err != nil {
		return 0, err
	}
	have, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return 0, err
	}
	return missing(acked, have), nil
}

func missing(want, have []int64) int {
	held := make(map[int64]bool, len(have))
	for _, n := range have {
		held[n] = true
	}
	lost := 0
	for _, n := range want {
		if !held[n] {
			lost++
		}
	}
	return lost
}
