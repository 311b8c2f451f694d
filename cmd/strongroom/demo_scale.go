package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/logserver"
	"strongroom.example/strongroom/internal/postgresql"
)

// engines are what a vault stands on whose servers are more than one.
type engines struct {
	database *postgresql.Server
	log      *logserver.Log
	second   *vaultProcess // beside the demo's server
	balancer *balancer
}

// signerInterval is how often the log's signer looks for new entries.
const signerInterval = 50 * time.Millisecond

// startEngines starts a PostgreSQL and, over it, Trillian's programs from a folder, and says where they are.
func (d *demo) startEngines(ctx context.Context, trillian string) (err error) {
	programs, err := postgresql.Find()
	if err != nil {
		return demoCannot("PostgreSQL is not installed.", "Install it (on Debian: apt-get install postgresql), then try again.")
	}
	d.engines = &engines{}
	if d.engines.database, err = postgresql.Start(ctx, programs); err != nil {
		return demoCannot("PostgreSQL does not start: "+err.Error(), "Look at what it says.")
	}
	database := d.engines.database
	schema, err := logserver.Schema(trillian)
	if err != nil {
		return demoCannot("Trillian is not where it was said to be.", "Install it with ./scripts/trillian and name the folder that it prints.")
	}
	const password = "of-the-demonstration"
	for _, statement := range []struct{ database, text string }{
		{"postgres", "create role strongroom_owner login password '" + password + "'"},
		{"postgres", "create role strongroom login password '" + password + "'"},
		{"postgres", "create database vault owner strongroom_owner"},
		{"postgres", "create database log"},
		{"log", schema},
	} {
		if err := database.Exec(ctx, statement.database, statement.text); err != nil {
			return err
		}
	}
	for role, file := range map[string]string{"strongroom_owner": "owner.url", "strongroom": "records.url"} {
		if err := os.WriteFile(filepath.Join(d.dir, file), []byte(database.URLFor("vault", role, password)+"\n"), 0o600); err != nil {
			return err
		}
	}
	if d.engines.log, err = logserver.Start(ctx, trillian, filepath.Join(d.dir, "log"), database.URL("log"), signerInterval); err != nil {
		return err
	}
	d.config += fmt.Sprintf("records:\n  postgresql:\n    url_file: %s\nlog:\n  trillian:\n    address: %s\n    ca_file: %s\n",
		strconv.Quote(filepath.Join(d.dir, "records.url")), d.engines.log.Address(), strconv.Quote(d.engines.log.CA))
	_, err = d.vaultSays(ctx, "migrate", "--url-file", filepath.Join(d.dir, "owner.url"), "--role", "strongroom")
	return err
}

// startSecond starts a second server from a copy of the vault's folder, and a balancer in front of both.
func (d *demo) startSecond(ctx context.Context, data string) (err error) {
	second := data + "-2"
	if err := copyFolder(second, data); err != nil {
		return err
	}
	e := d.engines
	if e.second, err = startVault(ctx, d.bin, second, filepath.Join(d.dir, "strongroomd-2.log")); err != nil {
		return err
	}
	d.memory.watch("second server", e.second.pid)
	if e.balancer, err = startBalancer(d.server.listens(), e.second.listens()); err != nil {
		return err
	}
	d.address = strings.Replace(d.server.address, d.server.listens(), e.balancer.address(), 1)
	d.note("It is served by two processes, %d and %d. Behind %s every connection goes to the next of them.", d.server.pid, e.second.pid, e.balancer.address())
	d.note("They keep nothing of their own: records are in PostgreSQL, the record book in Trillian's log server over it, both on this computer.")
	return nil
}

// copyFolder copies a folder's files, and nothing that is none: a socket is nobody else's.
func copyFolder(to, from string) error {
	return filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch target := filepath.Join(to, name); {
		case entry.IsDir():
			return os.MkdirAll(target, 0o700)
		case entry.Type().IsRegular():
			content, err := os.ReadFile(path) //#nosec G304,G122 -- the demonstration's own folder
			if err != nil {
				return err
			}
			return os.WriteFile(target, content, 0o600)
		}
		return nil
	})
}

// loseServer kills one of two servers, and shows that the other goes on.
func (d *demo) loseServer(ctx context.Context) error {
	lost := d.server
	if err := lost.kill(); err != nil {
		return err
	}
	began := time.Now()
	if _, err := d.custodian1.History(ctx, evidence.ItemOf(d.sharedItem().id)); err != nil {
		return err
	}
	d.checked("Process %d was killed, without a warning. The other one answered after %s, and goes on.", lost.pid, time.Since(began).Round(time.Millisecond))
	var err error
	if d.server, err = startVault(ctx, d.bin, filepath.Join(d.dir, "vault"), filepath.Join(d.dir, "strongroomd-again.log")); err != nil {
		return err
	}
	d.memory.watch("server", d.server.pid)
	d.engines.balancer.replace(lost.listens(), d.server.listens())
	d.note("It was started again, as process %d, and takes its share.", d.server.pid)
	return nil
}

// stop ends what was started.
func (e *engines) stop() (err error) {
	if e.balancer != nil {
		e.balancer.close()
	}
	if e.second != nil {
		err = e.second.stop()
	}
	if e.log != nil {
		e.log.Kill()
	}
	if e.database != nil {
		e.database.Remove()
	}
	return err
}

// balancer hands each connection on to the next of some servers that answers, as a load balancer does that does not look inside.
type balancer struct {
	listener net.Listener
	next     atomic.Int64
	open     sync.WaitGroup

	mu sync.Mutex // guards to
	to []string
}

func startBalancer(to ...string) (*balancer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &balancer{listener: l, to: to}
	b.open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go b.pass(c)
		}
	})
	return b, nil
}

func (b *balancer) address() string { return b.listener.Addr().String() }

func (b *balancer) close() {
	b.listener.Close()
	b.open.Wait()
}

// replace has another server take the place of one.
func (b *balancer) replace(old, with string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, at := range b.to {
		if at == old {
			b.to[i] = with
		}
	}
}

func (b *balancer) pass(c net.Conn) {
	defer c.Close()
	b.mu.Lock()
	to := append([]string(nil), b.to...)
	b.mu.Unlock()
	first := int(b.next.Add(1))
	for i := range to {
		server, err := net.DialTimeout("tcp", to[(first+i)%len(to)], 5*time.Second)
		if err != nil {
			continue
		}
		defer server.Close()
		go func() {
			defer c.Close()
			_, _ = io.Copy(c, server)
		}()
		_, _ = io.Copy(server, c)
		return
	}
}
