package main

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/tlog"
)

// mark begins every confidential text of the journey; planted every text that is sent in clear on purpose.
const (
	mark    = "kanarienvogel"
	planted = "zeisigpflanze"
)

// secret makes a text that is found by its beginning, whatever follows.
func secret(field string) string { return mark + " " + field + " ж" }

// tap stands before the vault with the vault's own certificate, and keeps every byte inside TLS as the vault receives and sends it.
type tap struct {
	net.Listener
	mu    sync.Mutex
	bytes bytes.Buffer
}

func (w *town) tap() *tap {
	w.t.Helper()
	pair, err := tls.LoadX509KeyPair(w.path("vault/tls/certificate.pem"), w.path("vault/tls/key.pem"))
	if err != nil {
		w.t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS13})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { l.Close() })
	tapped := &tap{Listener: l}
	to, number, _ := strings.Cut(strings.TrimPrefix(w.address, "https://"), "#")
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go tapped.carry(conn, to)
		}
	}()
	w.address = "https://" + l.Addr().String() + "#" + number
	return tapped
}

func (p *tap) carry(conn net.Conn, to string) {
	defer conn.Close()
	vault, err := tls.Dial("tcp", to, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		return
	}
	defer vault.Close()
	go func() {
		p.pass(conn, vault)
		conn.Close()
	}()
	p.pass(vault, conn)
}

// pass copies one direction of a connection and keeps it in one piece.
func (p *tap) pass(dst io.Writer, src io.Reader) {
	var kept bytes.Buffer
	io.Copy(dst, io.TeeReader(src, &kept))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes.Write(kept.Bytes())
	p.bytes.WriteByte(0)
}

func (p *tap) seen() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Clone(p.bytes.Bytes())
}

// saveMemory writes what a running process has in its memory to a file: every region that can be read, but for pages of zeros.
func saveMemory(t *testing.T, pid int, file string) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatalf("the memory of an own child cannot be read: %v", err)
	}
	defer mem.Close()
	image, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	page := make([]byte, 64<<10)
	zeros := make([]byte, len(page))
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); err != nil || rights[0] != 'r' {
			continue
		}
		for region := io.NewSectionReader(mem, from, to-from); ; {
			n, err := io.ReadFull(region, page)
			if !bytes.Equal(page[:n], zeros[:n]) {
				image.Write(page[:n])
			}
			if err != nil { // the end, or a page of the kernel's own
				break
			}
		}
	}
	if err := image.Close(); err != nil {
		t.Fatal(err)
	}
}

// places are everything that the vault and its operator have.
type places struct {
	t     *testing.T
	w     *town
	tap   *tap
	sent  *collected // to a collector of traces
	looks int        // at the memory
}

// look calls found for every place in which a word is, and returns how many bytes each place has.
func (p *places) look(s *sieve, found func(place, name string)) map[string]int64 {
	p.t.Helper()
	sizes := make(map[string]int64)
	in := func(place string, r io.Reader) {
		n, err := s.search(p.t.Context(), r, func(name string) { found(place, name) })
		if err != nil {
			p.t.Fatal(err)
		}
		sizes[place] += n
	}
	in("traffic", bytes.NewReader(p.tap.seen()))
	in("log", bytes.NewReader(p.w.server.said()))
	in("numbers", strings.NewReader(p.w.numbers()))
	in("traces", strings.NewReader(p.sent.bytes()))
	for _, folder := range []string{"vault", "backup", "memory"} {
		err := filepath.WalkDir(p.w.path(folder), func(path string, entry os.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			rest, err := filepath.Rel(p.w.path(folder), path)
			place := folder + "/" + strings.Split(rest, string(filepath.Separator))[0]
			if folder == "memory" {
				place = folder
			}
			in(place, f)
			return err
		})
		if err != nil {
			p.t.Fatal(err)
		}
	}
	return sizes
}

// remember keeps the vault's present memory, to be searched.
func (p *places) remember() {
	p.t.Helper()
	p.looks++
	if err := os.MkdirAll(p.w.path("memory"), 0o700); err != nil {
		p.t.Fatal(err)
	}
	saveMemory(p.t, p.w.server.Process.Pid, p.w.path(fmt.Sprintf("memory/%d", p.looks)))
}

// TestCanary goes through a whole journey with a text of its own in every confidential field, and then looks for those texts, for the
// people's keys and for the passphrase in everything that the vault has or had: its folder (records with their write-ahead log, log,
// objects, keys), a backup, what it said, what it told monitoring, what came and went inside TLS, and its memory while it ran (invariant 1).
//
// Session tokens and invitation codes are secrets of another kind: the vault must be given them. They are in traffic and memory, and must
// not be kept: neither in its folder, nor in a backup, nor in what it says.
func TestCanary(t *testing.T) {
	w := foundTown(t)
	if _, err := os.Stat("/proc/self/mem"); err != nil {
		t.Skip("the memory of a process can be read on Linux only")
	}
	p := &places{t: t, w: w, sent: w.watched(), tap: w.tap()}
	for _, person := range []*person{w.admin, w.custodian, w.second, w.clinician, w.court} {
		person.types("", "connect", "--server", w.address).ends(0)
	}
	investigator := w.newPerson("investigator")
	w.enrol(investigator, "investigator", w.admin, w.custodian)
	third := w.newPerson("third")
	w.enrol(third, "custodian", w.admin, w.second)
	survivor, _ := w.giveCard(w.second, third)
	item := w.confidentialJourney(p, investigator)
	survivor.by("", "own").ends(0)

	var secrets sieve
	secrets.addText("a confidential text", mark)
	secrets.addText("the passphrase", "five quiet words in spring")
	secrets.addText("an age key", "AGE-SECRET-KEY-PQ-1")
	for _, person := range []*person{w.admin, w.second, w.clinician, w.court, investigator} {
		secrets.plainKeys(t, person)
	}
	secrets.card(t, survivor.card, must(tlog.ParseTrust(must(os.ReadFile(w.trust)))).Vault())
	secrets.addText("what was deposited", string(must(os.ReadFile(item))[200_000:200_040])) // far behind its beginning
	given := w.givenSecrets(p, &secrets)
	inTraffic := false
	sizes := p.look(&secrets, func(place, name string) {
		switch {
		case !given[name]:
			t.Errorf("%s holds %s", place, name)
		case place == "traffic":
			inTraffic = true
		case place != "memory":
			t.Errorf("%s keeps %s", place, name)
		}
	})
	if !inTraffic {
		t.Error("the search does not find what is known to be in the traffic")
	}
	for _, place := range []string{"memory", "traffic", "log", "numbers", "traces", "vault/records.db", "vault/log.db", "vault/objects", "vault/keys", "backup/snapshots", "backup/objects"} {
		if sizes[place] == 0 {
			t.Errorf("nothing was searched in %s", place)
		}
	}
	t.Logf("searched, in bytes: %v", sizes)
	w.plant(p)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// confidentialJourney fills every confidential field, and returns the file that was deposited.
func (w *town) confidentialJourney(p *places, investigator *person) (file string) {
	t := w.t
	text := func(field string) string { return w.write(strings.ReplaceAll(field, " ", "-")+".txt", secret(field)) }
	rights := ":deposit,open,approve,manage"
	in := str(t, w.custodian.types("", "case", "open", "--member", "me"+rights, "--member", w.second.id+rights, "--member", w.clinician.id+":deposit,open",
		"--keyholder", "me", "--keyholder", w.second.id).object(), "case")
	w.custodian.types("", "case", "add-member", in, investigator.id+":deposit,open", "--until", "365d", "--name-file", text("name of a member")).object()
	consent := str(t, w.clinician.types("record\n", "consent", "give", "--case", in, "--form", text("consent form"), "--until", "365d", "--examination", "yes",
		"--storage", "yes", "--photographs", "yes", "--court", "NL:information,photographs").object(), "consent")

	var content strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&content, "%s %d\n", secret("content"), i)
	}
	file = w.write(mark+" name of a file.jpg", content.String())
	first := byResult(t, w.clinician.types("", "deposit", file, "--case", in, "--content", "clinical", "--consent", consent, "--label", secret("label"),
		"--record", w.document("clinical-record-1", "background", secret("record")),
		"--acquisition", w.document("acquisition-1", "errors", map[string]string{"unknown": secret("acquisition")})).ends(0).out, map[string]int{"recorded": 1})[file]
	apart := str(t, w.custodian.types("", "case", "open", "--member", "me"+rights, "--member", w.second.id+rights, "--member", w.clinician.id+":deposit",
		"--keyholder", "me", "--keyholder", w.second.id).object(), "case")
	own := str(t, w.clinician.types("record\n", "consent", "give", "--case", apart, "--form", w.write("own.txt", secret("consent form")+" of its own"), "--until", "365d",
		"--storage", "yes").object(), "consent")
	byResult(t, w.clinician.types("", "deposit", text("identity"), "--case", apart, "--class", "identity", "--content", "identity", "--consent", own).ends(0).out,
		map[string]int{"recorded": 1})
	order := text("copied messages")
	byResult(t, investigator.types("", "deposit", order, "--case", in, "--content", "digital", "--basis", "court_order", "--authority", w.write("authority.txt", secret("authority")+"\norder 7\nact 4\nnone")).ends(0).out,
		map[string]int{"recorded": 1})
	p.remember()
	item := string(first.Item)
	w.second.types("", "verify-item", item, "--reason-file", text("reason to verify")).object()
	w.second.types("", "open", item, "--purpose", "investigation", "--to", w.path("opened"), "--reason-file", text("reason to open")).object()
	w.same("opened", file)
	w.clinician.types("seal\n", "seal", item).object()
	propose := []string{"grant", "propose", item, "--to", w.court.id, "--jurisdiction", "NL", "--legal-basis", "mla_request", "--until", "90d",
		"--reason-file", text("note to the recipient")}
	refused := str(t, w.custodian.types("", propose...).object(), "grant")
	w.second.types("", "grant", "refuse", refused, "--reason-file", text("reason to refuse")).object()
	grant := str(t, w.custodian.types("", propose...).object(), "grant")
	w.second.types("approve\nsend\n", "grant", "approve", grant).object()
	w.court.types("", "grant", "redeem", grant, "--to", w.path("received")).object()
	w.same("received", file)
	w.court.types("", "grant", "acknowledge", grant, "--copy", w.path("received")).object()
	w.court.types("", "grant", "export", grant, "--to", w.path("package.zip")).object()
	p.remember()
	w.clinician.types("withdraw\n", "consent", "withdraw", consent, "--reason-file", text("reason to withdraw")).object()
	runProgram(t, "", "strongroomd", "backup", "--data", w.path("vault"), "--to", w.path("backup")).ends(0)
	p.remember()
	return file
}

// givenSecrets adds those that the vault is told, which it may hold while it needs them and does not keep, and returns what they are called.
func (w *town) givenSecrets(p *places, s *sieve) (names map[string]bool) {
	w.t.Helper()
	var given sieve
	tokens := make(map[string]bool)
	for _, m := range regexp.MustCompile(`Bearer ([A-Za-z0-9_-]{43})\r\n`).FindAllSubmatch(p.tap.seen(), -1) {
		tokens[string(m[1])] = true
	}
	for token := range tokens {
		given.addText("a session token", token)
		given.addBytes("a session token's number", must(base64.RawURLEncoding.DecodeString(token)))
	}
	codes := regexp.MustCompile(`"secret":"([^"]{20,})"`).FindAllSubmatch(p.tap.seen(), -1)
	for _, m := range codes {
		given.addText("an invitation's code", string(m[1]))
	}
	if len(tokens) < 10 || len(codes) < 2 {
		w.t.Errorf("%d tokens and %d codes were seen", len(tokens), len(codes))
	}
	names = make(map[string]bool)
	for _, words := range given.words {
		for _, word := range words {
			names[word.name] = true
			s.add(word.name, word.text)
		}
	}
	return names
}

// plant puts a text into every place on purpose, by ways that are open to who signs in: the search that found nothing else finds it.
func (w *town) plant(p *places) {
	t := w.t
	// A tool is a public name: it stands in the event, so in the records, in the log and in a backup.
	_, with := w.caseOf()
	source := w.write("clear.txt", "x")
	item := byResult(t, w.deposits(append([]string{source}, with...)...).ends(0).out, map[string]int{"recorded": 1})[source].Item
	w.second.types("", "item", "derive", string(item), w.write("made.txt", "y"), "--form", "derived", "--tool", planted, "--tool-version", "1").object()
	runProgram(t, "", "strongroomd", "backup", "--data", w.path("vault"), "--to", w.path("backup")).ends(0)

	// An upload in clear, as a client that does not encrypt would send it.
	last := regexp.MustCompile(`Bearer ([A-Za-z0-9_-]{43})\r\n`).FindAllSubmatch(p.tap.seen(), -1)
	token := "Bearer " + string(last[len(last)-1][1])
	host := strings.Split(strings.TrimPrefix(w.address, "https://"), "#")[0]
	through := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer through.CloseIdleConnections()
	ask := func(method, path string, body string, header ...string) *http.Response {
		req := must(http.NewRequest(method, "https://"+host+path, strings.NewReader(body)))
		req.Header.Set("Authorization", token)
		req.Header.Set("Tus-Resumable", "1.0.0")
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp := must(through.Do(req))
		resp.Body.Close()
		return resp
	}
	clear := strings.Repeat("A photograph in clear: "+planted+". ", 100)
	made := ask("POST", "/v1/uploads/", "", "Upload-Length", fmt.Sprint(len(clear)))
	if sent := ask("PATCH", made.Header.Get("Location"), clear, "Upload-Offset", "0", "Content-Type", "application/offset+octet-stream"); sent.StatusCode != 204 {
		t.Fatalf("an upload in clear: %d, %d", made.StatusCode, sent.StatusCode)
	}
	// A request that is not whole yet stands in the vault's memory.
	conn := must(tls.Dial("tcp", host, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}))
	fmt.Fprintf(conn, "GET /v1/vault HTTP/1.1\r\nHost: vault\r\nX-Note: in hex %x\r\n", planted)
	through.CloseIdleConnections()
	if err := os.RemoveAll(p.w.path("memory")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // it is on its way
	p.remember()
	conn.Close()
	p.tap.settle(t, []byte(hex.EncodeToString([]byte(planted))))

	var seeds sieve
	seeds.addText("the planted text", planted)
	seeds.add("a line of the log", []byte("Serving  "))
	found := map[string]map[string]bool{"vault/records.db": {}}
	p.look(&seeds, func(place, name string) {
		if found[place] == nil {
			found[place] = make(map[string]bool)
		}
		found[place][name] = true
	})
	for place, name := range map[string]string{
		"memory": "the planted text in hex", "traffic": "the planted text in base64 twice", "log": "a line of the log", "vault/objects": "the planted text",
		"vault/log.db": "the planted text", "vault/records.db": "the planted text", "backup/snapshots": "the planted text",
	} {
		if place == "vault/records.db" { // it may not have come further than the write-ahead log
			maps.Copy(found[place], found["vault/records.db-wal"])
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(found[place])), func(n string) bool { return strings.HasPrefix(n, name) }) {
			t.Errorf("%s is not found in %s: the search is blind there", name, place)
		}
	}
	t.Logf("found what was planted in: %v", found)
}

// settle waits until a connection that has ended was written down.
func (p *tap) settle(t *testing.T, text []byte) {
	t.Helper()
	for range 200 {
		if bytes.Contains(p.seen(), text) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the tap has not seen what was sent")
}
