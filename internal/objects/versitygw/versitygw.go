// Package versitygw runs a real S3 server, versitygw on a folder, for tests and for the demonstration.
//
// It listens on loopback, over TLS, with a certificate made on the spot, and it is stopped by its process. It is no part of a vault:
// the server does not fsync, so what it holds is worth what a demonstration is worth.
package versitygw

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"strongroom.example/strongroom/internal/installed"
)

// Region is the one that the server says it is in.
const Region = "us-east-1"

// ErrMissing means that the program is not there.
const ErrMissing = installed.Missing("versitygw")

// Find returns the program: the one that STRONGROOM_VERSITYGW names, or the one that scripts/versitygw of this module installed.
func Find() (string, error) { return installed.Find("versitygw", "STRONGROOM_VERSITYGW") }

// Server is a running server.
type Server struct {
	Endpoint        string // https://127.0.0.1:port
	CAFile          string // certificate to trust (PEM)
	CredentialsFile string // in the form of ~/.aws/credentials
	Data            string // the folder with a folder for each bucket, a file for each object

	program, dir, address string
	access, secret        string
	process               *exec.Cmd
	log                   *os.File
}

// Start starts the program on a folder, which it makes ready, and waits until it listens.
func Start(ctx context.Context, program, dir string) (*Server, error) {
	dir, err := filepath.Abs(dir) // the program changes its folder
	if err != nil {
		return nil, err
	}
	address, err := installed.FreeAddress()
	if err != nil {
		return nil, err
	}
	var random [24]byte
	rand.Read(random[:])
	s := &Server{
		Endpoint:        "https://" + address,
		CAFile:          filepath.Join(dir, "ca.pem"),
		CredentialsFile: filepath.Join(dir, "credentials"),
		Data:            filepath.Join(dir, "data"),
		program:         program, dir: dir, address: address,
		access: "access" + hex.EncodeToString(random[:4]), secret: hex.EncodeToString(random[4:]),
	}
	for _, folder := range []string{s.Data, s.path("versions")} { // neither name may begin with the other
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, err
		}
	}
	if err := installed.WriteCertificate(s.CAFile, s.path("key.pem")); err != nil {
		return nil, err
	}
	text := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", s.access, s.secret)
	if err := os.WriteFile(s.CredentialsFile, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return s, s.Run(ctx)
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

// Run starts the program again after Kill, at the same address.
func (s *Server) Run(ctx context.Context) (err error) {
	if s.log, err = os.OpenFile(s.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	s.process = exec.Command(s.program, "--port", s.address, "--cert", s.CAFile, "--key", s.path("key.pem"), "--quiet", "--keep-alive", //#nosec G204 -- the program that the caller chose
		"posix", "--versioning-dir", s.path("versions"), s.Data)
	s.process.Env = append(os.Environ(), "ROOT_ACCESS_KEY_ID="+s.access, "ROOT_SECRET_ACCESS_KEY="+s.secret) // not where ps shows them
	s.process.Stdout, s.process.Stderr = s.log, s.log
	if err := s.process.Start(); err != nil {
		return errors.Join(err, s.log.Close())
	}
	if err := installed.Listening(ctx, s.address, nil); err != nil {
		s.Kill()
		out, _ := os.ReadFile(s.path("log"))
		return fmt.Errorf("versitygw does not listen: %w\n%s", err, out)
	}
	return nil
}

// Kill ends the program at once.
func (s *Server) Kill() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
	_ = s.log.Close()
}

// Process is the running program's.
func (s *Server) Process() *os.Process { return s.process.Process }
