package postgresql

import (
	"context"
	"database/sql"
	"os"
	"testing"
	"time"
)

// A server is made, holds what it was given through a stop and a kill, refuses who has no password, and leaves nothing.
func TestServer(t *testing.T) {
	programs, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s, err := Start(ctx, programs)
	check(t, err)
	defer s.Remove()
	name, err := s.NewDatabase(ctx)
	check(t, err)
	check(t, s.Exec(ctx, name, `create table kept (n int)`))
	for range 2 {
		check(t, s.Exec(ctx, name, `insert into kept values (1)`))
		check(t, s.Stop())
		check(t, s.Run(ctx))
		check(t, s.Exec(ctx, name, `insert into kept values (1)`))
		s.Kill()
		check(t, s.Run(ctx))
	}
	db, err := sql.Open("pgx", s.URL(name))
	check(t, err)
	defer db.Close()
	var n int
	check(t, db.QueryRowContext(ctx, `select count(*) from kept`).Scan(&n))
	if n != 4 {
		t.Errorf("%d rows of 4", n)
	}
	stranger, err := sql.Open("pgx", s.URLFor(name, Superuser, "guessed"))
	check(t, err)
	defer stranger.Close()
	if stranger.PingContext(ctx) == nil {
		t.Error("a wrong password was accepted")
	}
	s.Remove()
	if _, err := os.Stat(s.dir); !os.IsNotExist(err) {
		t.Errorf("the cluster is still there: %v", err)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
