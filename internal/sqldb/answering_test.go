package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// A connection on which nothing comes ends, by itself or when the driver says; one that answers goes on, however long it was left alone.
func TestAnswering(t *testing.T) {
	l := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	defer l.Close()
	near := must[net.Conn](t)(net.Dial("tcp", l.Addr().String()))
	far := must[net.Conn](t)(l.Accept())
	defer far.Close()
	c := &answeringConn{Conn: near, longest: 100 * time.Millisecond}
	defer c.Close()
	b := make([]byte, 1)
	for range 2 {
		must[int](t)(c.Write(b))
		time.Sleep(2 * c.longest)
		must[int](t)(far.Write(b))
		must[int](t)(c.Read(b))
	}
	if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("nothing came: %v", err)
	}
	c.longest = time.Hour
	ok(t, c.SetDeadline(time.Now().Add(100*time.Millisecond)))
	if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the driver's deadline: %v", err)
	}
	if _, err := c.Write(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the driver's deadline: %v", err)
	}
	ok(t, c.SetDeadline(time.Time{}))
	waiting := make(chan error)
	go func() {
		_, err := c.Read(b)
		waiting <- err
	}()
	time.Sleep(10 * time.Millisecond)
	ok(t, c.SetDeadline(time.Unix(1, 0))) // as the driver ends a read under way
	if err := <-waiting; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a read under way: %v", err)
	}
	ok(t, c.SetDeadline(time.Time{}))
	must[int](t)(far.Write(b))
	must[int](t)(c.Read(b))
}

// Who wants to know within seconds whether the records answer is told when they do not, however long they then take.
func TestPostgresSoon(t *testing.T) {
	name := newPostgres(t)
	db, other := openAs(t, serverURL(name)), must[*sql.DB](t)(sql.Open("pgx", cluster.server.URL(name)))
	defer other.Close()
	blocking := must[*sql.Tx](t)(other.Begin())
	defer blocking.Rollback()
	must[sql.Result](t)(blocking.Exec(`lock table meta, checkpoints in access exclusive mode`))
	for _, ask := range []func(context.Context) error{
		func(ctx context.Context) error { return errorOf(db.Meta(ctx, "k")) },
		func(ctx context.Context) error { return errorOf(db.Checkpoint(ctx)) },
	} {
		began := time.Now()
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		refused(t, ask(short), evidence.Internal, "records_unreachable")
		cancel()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("told after %s", took)
		}
	}
	ok(t, blocking.Rollback())
	_, err := db.Meta(ctx, "k")
	refused(t, err, evidence.NotFound, "meta")
}
