package sqldb

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// longestAnswer is how long a server may be silent that was asked something: it gives up a statement after a minute itself.
const longestAnswer = 65 * time.Second

// answering has a connection end on which nothing comes for that long. Otherwise one whose other end is gone without a word would be waited on
// for a quarter of an hour, until the kernel gives up, or behind a proxy for ever; and so would each of a pool's, one after the other.
func answering(dial pgconn.DialFunc) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &answeringConn{Conn: conn, longest: longestAnswer}, nil
	}
}

// answeringConn is only read from while an answer is due. The driver's own deadlines hold too.
type answeringConn struct {
	net.Conn
	longest time.Duration

	mu          sync.Mutex // guards the deadlines
	read, write time.Time  // the driver's; zero is none
}

func (c *answeringConn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read, c.write = t, t
	return c.Conn.SetDeadline(t)
}

func (c *answeringConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = t
	return c.Conn.SetReadDeadline(t)
}

func (c *answeringConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write = t
	return c.Conn.SetWriteDeadline(t)
}

// by sets a deadline of ours, unless the driver's comes before it.
func (c *answeringConn) by(driver *time.Time, set func(time.Time) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	ours := time.Now().Add(c.longest)
	if !driver.IsZero() && driver.Before(ours) {
		ours = *driver
	}
	return set(ours)
}

func (c *answeringConn) Read(p []byte) (int, error) {
	if err := c.by(&c.read, c.Conn.SetReadDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *answeringConn) Write(p []byte) (int, error) {
	if err := c.by(&c.write, c.Conn.SetWriteDeadline); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
