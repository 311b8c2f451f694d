package campaign

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// mood is how a line is.
type mood int32

const (
	quiet     mood = iota
	silent         // nothing passes, and nobody is told
	forgetful      // of PostgreSQL: connections break around every other commit
	brittle        // connections break, at some byte
)

// line is the way from one replica to one engine.
type line struct {
	testing.TB
	in       *namespace
	listener net.Listener
	to       string
	commits  bool // it speaks PostgreSQL's protocol in the clear, so that commits are told
	now      atomic.Int32
	broken   atomic.Int64 // connections that were broken
	lost     atomic.Int64 // commits that were done and whose answers did not arrive

	passing sync.WaitGroup

	mu   sync.Mutex // guards what follows
	dice *rand.Rand
	open map[*passage]bool
}

// newLine listens inside a namespace, if it is given one.
func newLine(t testing.TB, in *namespace, to string, commits bool, seed uint64) *line {
	t.Helper()
	l := &line{TB: t, in: in, to: to, commits: commits, dice: rand.New(rand.NewPCG(seed, 400)), open: make(map[*passage]bool)}
	check(t, in.do(func() (err error) {
		l.listener, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	}))
	l.passing.Go(l.accept)
	t.Cleanup(l.close)
	return l
}

func (l *line) address() string { return l.listener.Addr().String() }

func (l *line) close() {
	l.listener.Close()
	l.cut()
	l.passing.Wait()
}

func (l *line) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.passing.Go(func() {
			far, err := net.DialTimeout("tcp", l.to, 5*time.Second)
			if err != nil {
				reset(near)
				return
			}
			l.pass(&passage{line: l, near: near, far: far, over: make(chan struct{})})
		})
	}
}

func (l *line) draw(sides int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dice.IntN(sides)
}

// cut breaks what is open now.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.open {
		p.end()
	}
}

// lose has what is open now be silent for ever: in a namespace to the kernel, too, which gets no acknowledgement any more. New connections pass.
func (l *line) lose() {
	l.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.open {
		p.dead.Store(true)
		if l.in != nil {
			l.in.drop(l.address(), p.near.RemoteAddr().String(), true)
		}
	}
}

// passage is one connection.
type passage struct {
	line      *line
	near, far net.Conn
	deaf      atomic.Bool // what the engine answers next is lost, and the connection with it
	dead      atomic.Bool // nothing passes any more, and nobody is told
	once      sync.Once
	over      chan struct{}
}

func (l *line) pass(p *passage) {
	l.mu.Lock()
	l.open[p] = true
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.open, p)
	}()
	var both sync.WaitGroup
	both.Go(func() { defer p.end(); p.back() })
	defer both.Wait()
	defer p.end()
	if l.commits {
		p.messages()
		return
	}
	p.forth()
}

// end breaks both connections at once: whoever reads or writes hears of it.
func (p *passage) end() {
	p.once.Do(func() {
		close(p.over)
		reset(p.near)
		reset(p.far)
	})
}

func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}

// may waits while nothing passes, and reports whether the connection still stands. It may break here.
func (p *passage) may() bool {
	for mood(p.line.now.Load()) == silent || p.dead.Load() {
		select {
		case <-p.over:
			return false
		case <-time.After(10 * time.Millisecond):
		}
	}
	if mood(p.line.now.Load()) == brittle && p.line.draw(20) == 0 {
		p.line.broken.Add(1)
		return false
	}
	return true
}

func (p *passage) forth() {
	buffer := make([]byte, 64<<10)
	for {
		n, err := p.near.Read(buffer)
		if n > 0 && (!p.may() || !p.send(buffer[:n])) || err != nil {
			return
		}
	}
}

func (p *passage) send(b []byte) bool {
	_, err := p.far.Write(b)
	return err == nil
}

func (p *passage) back() {
	buffer := make([]byte, 64<<10)
	for {
		n, err := p.far.Read(buffer)
		if n > 0 && p.deaf.Load() {
			p.line.lost.Add(1)
			return
		}
		if n > 0 {
			if !p.may() {
				return
			}
			if _, err := p.near.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// messages takes what a replica says to PostgreSQL message by message.
func (p *passage) messages() {
	from, typed := bufio.NewReaderSize(p.near, 64<<10), 0 // the first message has no type
	for {
		header := make([]byte, typed+4)
		if _, err := io.ReadFull(from, header); err != nil {
			return
		}
		message := make([]byte, typed+int(binary.BigEndian.Uint32(header[typed:])))
		copy(message, header)
		if _, err := io.ReadFull(from, message[len(header):]); err != nil || !p.may() {
			return
		}
		if typed == 1 && isCommit(message) && mood(p.line.now.Load()) == forgetful && p.line.draw(2) == 0 {
			p.line.broken.Add(1)
			switch p.line.draw(3) {
			case 0: // it never arrives
				return
			case 1: // it is done, and nobody hears of it
				p.deaf.Store(true)
			case 2: // it arrives, perhaps
				p.send(message)
				return
			}
		}
		if !p.send(message) {
			return
		}
		typed = 1
	}
}

// isCommit reports whether a message is the one by which a transaction is committed.
func isCommit(message []byte) bool {
	return message[0] == 'Q' && bytes.EqualFold(bytes.TrimRight(message[5:], "\x00; "), []byte("commit"))
}

// A line passes what it is given, breaks when it is cut, keeps still while it is silent, and loses the answer to a commit alone.
func TestLine(t *testing.T) {
	engine := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer engine.Close()
	heard := make(chan string, 100)
	go func() { // it answers each message with "ok"
		for {
			c, err := engine.Accept()
			if err != nil {
				return
			}
			go func() {
				for typed := 0; ; typed = 1 {
					header := make([]byte, typed+4)
					if _, err := io.ReadFull(c, header); err != nil {
						return
					}
					body := make([]byte, binary.BigEndian.Uint32(header[typed:])-4)
					if _, err := io.ReadFull(c, body); err != nil {
						return
					}
					heard <- string(header[:typed]) + string(body)
					if _, err := c.Write([]byte("ok")); err != nil {
						return
					}
				}
			}()
		}
	}()
	message := func(typ, text string) []byte {
		return append(binary.BigEndian.AppendUint32([]byte(typ), uint32(4+len(text))), text...)
	}
	l := newLine(t, nil, engine.Addr().String(), true, 1)
	dial := func() net.Conn {
		c := must(net.Dial("tcp", l.address()))(t)
		check(t, c.SetDeadline(time.Now().Add(time.Minute)))
		return c
	}
	asks := func(c net.Conn, b []byte) error {
		if _, err := c.Write(b); err != nil {
			return err
		}
		answer := make([]byte, 2)
		_, err := io.ReadFull(c, answer)
		return err
	}
	c := dial()
	for _, m := range [][]byte{message("", "start"), message("Q", "begin\x00"), message("Q", "commit\x00")} {
		check(t, asks(c, m))
	}
	l.cut()
	if asks(c, message("Q", "select\x00")) == nil {
		t.Error("a line that was cut answers")
	}
	l.now.Store(int32(silent))
	c = dial()
	check(t, c.SetDeadline(time.Now().Add(200*time.Millisecond)))
	var timeout net.Error
	if err := asks(c, message("", "start")); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("a silent line: %v", err)
	}
	l.now.Store(int32(forgetful))
	for l.lost.Load() == 0 {
		c := dial()
		check(t, asks(c, message("", "start")))
		check(t, asks(c, message("Q", "select commit\x00")))
		for asks(c, message("Q", "commit\x00")) == nil {
		}
		c.Close()
	}
	done := 0
	for len(heard) > 0 {
		if <-heard == "Qcommit\x00" {
			done++
		}
	}
	if done < 2 {
		t.Errorf("%d commits arrived", done)
	}
}
