package sqldb

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
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
