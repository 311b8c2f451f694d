package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"rsc.io/qr"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
	"strongroom.example/strongroom/internal/words"
)

func someCard(t *testing.T, address string) Card {
	t.Helper()
	return NewCard(must(ParseAddress(address))(t), first.trust)
}

func TestCardLine(t *testing.T) {
	card := someCard(t, "https://127.0.0.1:8443#sha256:"+strings.Repeat("0a", 32))
	line := card.Line()
	if again := must(ParseCardLine(line))(t); again != card {
		t.Error("it reads as another card")
	}
	for _, wrong := range []string{
		"", card.Code.Code(), " " + line, line + " ", line + "\n", strings.ToLower(line), strings.Replace(line, " ", "  ", 1), strings.Replace(line, "-", "", 1),
		strings.Replace(line, "https", "http", 1), strings.Replace(line, "8443#", "8443/#", 1), line[:len(line)-1], strings.Repeat("x", 1<<20),
		card.Code.Code() + " " + card.Address.String() + " " + strings.ReplaceAll(card.Trust.Groups(), " ", ""),
	} {
		_, err := ParseCardLine(wrong)
		if evidence.KindOf(err) != evidence.Invalid {
			t.Errorf("%.80q: %v", wrong, err)
		}
		if err != nil && strings.Contains(err.Error(), card.Code.Code()[:9]) {
			t.Error("an error repeats the code")
		}
	}
}

func FuzzCardLine(f *testing.F) {
	address, err := ParseAddress("https://vault.example")
	check(f, err)
	f.Add(NewCard(address, first.trust).Line())
	f.Add("A B C")
	f.Fuzz(func(t *testing.T, line string) {
		if c, err := ParseCardLine(line); err == nil && c.Line() != line {
			t.Errorf("%q is read, and written as another", line)
		}
	})
}

func TestTrustNumber(t *testing.T) {
	whole := evidence.Hash(first.trust.Fingerprint()).String()
	groups := tlog.SixGroups(first.trust.Fingerprint())
	for _, typed := range []string{whole, groups, strings.ReplaceAll(groups, " ", ""), strings.ReplaceAll(groups, " ", "-")} {
		n, err := ParseTrustNumber(typed)
		if err != nil || !n.names(first.trust.Marshal()) || n.names([]byte("{}")) || n.Groups() != groups {
			t.Errorf("%q: %+v, %v", typed, n, err)
		}
	}
	for _, typed := range []string{"", groups[1:], whole[1:], strings.ToUpper(whole), groups + "0"} {
		if _, err := ParseTrustNumber(typed); evidence.ReasonOf(err) != "trust_number" {
			t.Errorf("%q: %v", typed, err)
		}
	}
}

// cardWords are those of the catalogue, as the command line takes them.
func cardWords(tag string) CardWords {
	l := words.For(tag)
	return CardWords{l.Tag(), l.Direction(), l.Say("page.title"), l.Say("page.square"), l.Say("page.code"), l.Say("page.number"), l.Say("page.address"),
		[]string{l.Say("page.print"), l.Say("page.delete"), l.Say("page.keep")}}
}

// telling are words that say what a card is for, in each language.
var telling = regexp.MustCompile(`(?i)evidence|vault|strongroom|court|injur|survivor|victim|tortur|traffick|custod|consent|trustee|case\b|law\b` +
	`|preuve|coffre|tribunal|bless|victime|accord|affaire|\bloi\b|police|prueba|caja fuerte|lesi[óo]n|v[íi]ctima|consentimiento|\bcaso\b|\bley\b|polic[íi]a` +
	`|دليل|أدلة|خزنة|محكمة|إصابة|ضحية|موافقة|قضية|قانون|شرطة|تعذيب|доказ|сховищ|суд|травм|жертв|згод|справ|закон|поліці|катуван`)

// What is printed is the code, the address, the number and a square that holds the card's line; and no word that tells what it is for.
func TestCardPage(t *testing.T) {
	addresses := []string{"https://lime.example", "https://127.0.0.1:8443#sha256:" + strings.Repeat("0a", 32)}
	for i, tag := range words.Tags() {
		address := addresses[i%2]
		card := someCard(t, address)
		var page bytes.Buffer
		check(t, card.WritePage(&page, cardWords(tag)))
		text := page.String()
		if !strings.Contains(text, fmt.Sprintf(`<html lang="%s" dir="%s">`, tag, words.For(tag).Direction())) || strings.Count(text, "<li>") != 3 {
			t.Errorf("%s: the page is in another language", tag)
		}
		for _, group := range append(strings.Split(card.Code.Code(), "-"), strings.Fields(card.Trust.Groups())...) {
			if strings.Count(text, group) != 1 {
				t.Errorf("a group is there %d times", strings.Count(text, group))
			}
		}
		if !strings.Contains(text, address) {
			t.Error("the address is missing")
		}
		if telling := telling.FindString(text); telling != "" {
			t.Errorf("%s: the card says %q", tag, telling)
		}
		if outside := regexp.MustCompile(`(?i)(\ssrc|href|url\(|@import|<script)`).FindString(text); outside != "" {
			t.Errorf("the page asks for something: %s", outside)
		}
		square := drawn(t, text)
		want := must(qr.Encode(card.Line(), qr.M))(t)
		if len(square) != want.Size {
			t.Fatalf("the square has %d rows, want %d", len(square), want.Size)
		}
		for y, row := range square {
			for x, dark := range row {
				if dark != want.Black(x, y) {
					t.Fatalf("the square differs at %d, %d", x, y)
				}
			}
		}
	}
}

// An address that print would cut off is refused, and nothing is written.
func TestCardPageOfALongAddress(t *testing.T) {
	fits := "https://" + strings.Repeat("a", maxPrinted-len("https://.example")) + ".example"
	var page bytes.Buffer
	check(t, someCard(t, fits).WritePage(&page, cardWords("en")))
	if !strings.Contains(page.String(), ">"+fits+"<") {
		t.Error("the address is missing")
	}
	page.Reset()
	name := filepath.Join(t.TempDir(), "card.html")
	long := someCard(t, fits+"s")
	for _, err := range []error{long.WritePage(&page, cardWords("en")), long.SavePage(name, cardWords("en"))} {
		if wantReason(t, err, "card_address"); evidence.KindOf(err) != evidence.TooLarge {
			t.Error(err)
		}
	}
	if _, err := os.Lstat(name); page.Len() > 0 || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%d bytes of it are written, %v", page.Len(), err)
	}
	if must(ParseCardLine(long.Line()))(t) != long { // written by hand it counts
		t.Error("it reads as another card")
	}
}

// The page is in its own file only, from the first byte on, and replaces nothing.
func TestSavePage(t *testing.T) {
	dir := t.TempDir()
	name, card := filepath.Join(dir, "card.html"), someCard(t, "https://lime.example")
	check(t, card.SavePage(name, cardWords("en")))
	var page bytes.Buffer
	check(t, card.WritePage(&page, cardWords("en")))
	info, list := must(os.Stat(name))(t), must(os.ReadDir(dir))(t)
	if !bytes.Equal(must(os.ReadFile(name))(t), page.Bytes()) || info.Mode().Perm() != 0o600 || len(list) != 1 {
		t.Errorf("%v, and %d files", info.Mode(), len(list))
	}
	if err := someCard(t, "https://lime.example").SavePage(name, cardWords("en")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a page was replaced: %v", err)
	}
	link := filepath.Join(dir, "link.html")
	check(t, os.Symlink(filepath.Join(dir, "elsewhere.html"), link))
	if err := card.SavePage(link, cardWords("en")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("it went through a link: %v", err)
	}
	if !bytes.Equal(must(os.ReadFile(name))(t), page.Bytes()) {
		t.Error("the page has changed")
	}
}

// An answer to an invitation whose own answer gets lost is given again, byte for byte; what is not known in the end says so.
func TestLostAnswer(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	var lost, broken int // how many answers get lost, and how many requests a proxy then refuses
	var sent []string
	way := meddler(func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		if req.URL.Path != "/v1/invitations/answer" {
			return next.RoundTrip(req)
		}
		body := must(io.ReadAll(req.Body))(t)
		sent, req.Body = append(sent, string(body)), io.NopCloser(bytes.NewReader(body))
		if broken > 0 && lost == 0 {
			broken--
			return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{}, Body: http.NoBody}, nil
		}
		resp, err := next.RoundTrip(req)
		if err == nil && lost > 0 {
			lost--
			resp.Body.Close()
			return nil, io.ErrUnexpectedEOF
		}
		return resp, err
	})
	card := NewCard(w.secured(way), w.trust)
	invite := func() (string, evidence.Hash) {
		secret, digest, err := w.custodian.Invite(ctx, Offer{Role: evidence.Survivor, Organization: w.org})
		check(t, err)
		return secret, digest
	}
	holder := func() *Client {
		c := must(w.byCard(card))(t)
		c.pause = func(context.Context, time.Duration) error { return nil }
		return c
	}

	secret, digest := invite()
	lost = 2
	c := holder()
	number := must(c.AnswerInvitation(ctx, secret))(t)
	if len(sent) != 3 || sent[0] != sent[1] || sent[1] != sent[2] {
		t.Errorf("%d answers were sent, or others", len(sent))
	}
	_, err := w.custodian.Admit(ctx, digest, "")
	check(t, err)
	_, err = w.second.Confirm(ctx, Confirmation{Actor: c.Actor(), Typed: tlog.SixGroups(number), Method: evidence.InPerson})
	check(t, err)
	check(t, holder().Recognize(ctx))

	// It never comes back: the number is told with the error, and the same device can go on.
	for _, after := range []int{0, 1} { // the way stays broken, or somebody between answers
		card = NewCard(card.Address, w.trust)
		secret, _ = invite()
		c := holder()
		if lost, broken = 100, after; after > 0 {
			lost = 1
		}
		number, err := c.AnswerInvitation(ctx, secret)
		if err == nil || number.IsZero() {
			t.Errorf("unknown is told as %v, %v", number, err)
		}
		lost, broken = 0, 0
		if again := must(c.AnswerInvitation(ctx, secret))(t); again != number {
			t.Error("another number")
		}
		// The vault refuses what comes second.
		card = NewCard(card.Address, w.trust)
		number, err = holder().AnswerInvitation(ctx, secret)
		wantReason(t, err, "invitation_answered")
		if !number.IsZero() {
			t.Error("refused keys have a number")
		}
	}
}

// drawn reads the square back from the page.
func drawn(t *testing.T, page string) [][]bool {
	t.Helper()
	box := regexp.MustCompile(`viewBox="0 0 (\d+) (\d+)"`).FindStringSubmatch(page)
	if box == nil || box[1] != box[2] {
		t.Fatal("no square")
	}
	const quiet = 4 // the blank margin
	size := must(strconv.Atoi(box[1]))(t) - 2*quiet
	square := make([][]bool, size)
	for y := range square {
		square[y] = make([]bool, size)
	}
	for _, run := range regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`).FindAllStringSubmatch(page, -1) {
		var n [4]int
		for i := range n {
			n[i] = must(strconv.Atoi(run[i+1]))(t)
		}
		if n[2] != n[3] {
			t.Fatal("a run is no rectangle")
		}
		for x := range n[2] {
			square[n[1]-quiet][n[0]-quiet+x] = true
		}
	}
	return square
}

// secured serves the vault over TLS, as cards need it, through what lie does to answers.
func (w *world) secured(lie http.RoundTripper) Address {
	handler := w.server.Config.Handler
	s := httptest.NewTLSServer(http.HandlerFunc(func(out http.ResponseWriter, req *http.Request) {
		if lie == nil {
			handler.ServeHTTP(out, req)
			return
		}
		on := req.Clone(req.Context())
		on.URL.Scheme, on.URL.Host, on.RequestURI = "http", strings.TrimPrefix(w.server.URL, "http://"), ""
		resp, err := lie.RoundTrip(on)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer resp.Body.Close()
		for name, values := range resp.Header {
			out.Header()[name] = values
		}
		out.WriteHeader(resp.StatusCode)
		io.Copy(out, resp.Body)
	}))
	w.Cleanup(s.Close)
	return must(ParseAddress(s.URL + "#sha256:" + evidence.SHA256(s.Certificate().RawSubjectPublicKeyInfo).String()))(w)
}

func (w *world) byCard(card Card) (*Client, error) {
	return ByCard(w.Context(), card, Config{Tool: tool, Now: time.Now})
}

// carry gives a survivor a card, as enrol does for a folder. With a rotation it is a new card for her.
func (w *world) carry(card Card, by, confirmer *person, o Offer, cause evidence.Cause) {
	w.Helper()
	ctx := w.Context()
	secret, digest, err := by.Invite(ctx, o)
	check(w, err)
	c := must(w.byCard(card))(w)
	fingerprint := must(c.AnswerInvitation(ctx, secret))(w)
	if _, err := w.byCard(card); err != nil {
		w.Error(err)
	}
	wantReason(w, must(w.byCard(card))(w).Recognize(ctx), "card") // not confirmed yet
	_, err = by.Admit(ctx, digest, cause)
	check(w, err)
	_, err = confirmer.Confirm(ctx, Confirmation{Actor: c.Actor(), Typed: tlog.SixGroups(fingerprint), Method: evidence.InPerson})
	check(w, err)
}

func TestActByCard(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	card := NewCard(w.secured(nil), w.trust)
	w.carry(card, w.custodian, w.second, Offer{Role: evidence.Survivor, Organization: w.org}, "")

	c := must(w.byCard(must(ParseCardLine(card.Line()))(t)))(t)
	check(t, c.Recognize(ctx))
	me, current, err := c.WhoAmI(ctx)
	if err != nil || !current || me.Role != evidence.Survivor || me.ID != c.Actor() {
		t.Errorf("%+v, %t, %v", me.ActorState, current, err)
	}
	typed := card
	typed.Trust = must(ParseTrustNumber(card.Trust.Groups()))(t)
	c = must(w.byCard(typed))(t)
	check(t, c.Recognize(ctx))

	// A new card: from then on the old one is nobody's key.
	renewed := NewCard(card.Address, w.trust)
	w.carry(renewed, w.custodian, w.second, Offer{Rotation: c.Actor()}, evidence.CauseLoss)
	again := must(w.byCard(renewed))(t)
	check(t, again.Recognize(ctx))
	if again.Actor() != c.Actor() {
		t.Error("the new card is another person's")
	}
	wantReason(t, must(w.byCard(card))(t).Recognize(ctx), "card")
	_, err = c.OwnConsents(ctx) // not even the session of before
	wantReason(t, err, "sign_in")
	wantReason(t, must(w.byCard(NewCard(card.Address, w.trust)))(t).Recognize(ctx), "card") // one that nobody enrolled
}

// A vault that lies to who has only a card.
func TestLiesToACard(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	honest := NewCard(w.secured(nil), w.trust)
	w.carry(honest, w.custodian, w.second, Offer{Role: evidence.Survivor, Organization: w.org}, "")

	other := strings.Replace(string(w.trust.Marshal()), string(w.custodian.Actor()), string(evidence.NewID[evidence.ActorID]()), 1)
	if _, err := tlog.ParseTrust([]byte(other)); err != nil || other == string(w.trust.Marshal()) {
		t.Fatal("the other trust file is none", err)
	}
	for name, file := range map[string]string{"another trust file": other, "nothing": "", "more": string(w.trust.Marshal()) + "\n"} {
		lie := &liar{path: "", method: http.MethodGet, rewrite: func(resp *http.Response, body []byte) []byte {
			if strings.HasPrefix(resp.Request.URL.Path, "/v1/trust/") {
				return []byte(file)
			}
			return body
		}}
		for _, number := range []TrustNumber{honest.Trust, must(ParseTrustNumber(honest.Trust.Groups()))(t)} {
			if _, err := w.byCard(Card{honest.Code, w.secured(lie), number}); LieOf(err) != OtherTrust {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	_, err := w.byCard(Card{honest.Code, honest.Address, must(ParseTrustNumber(strings.Repeat("0", 64)))(t)})
	wantReason(t, err, "trust_number")

	// It says that the card is somebody else's.
	lie := about(http.MethodPost, "/v1/sign-in", func(s *wire.SignedIn) { s.Actor = string(w.custodian.Actor()) })
	c := must(w.byCard(Card{honest.Code, w.secured(lie), honest.Trust}))(t)
	wantLie(t, c.Recognize(ctx), ForeignKey)
	// Another key answers at the address.
	address := must(ParseAddress(honest.Address.URL() + "#sha256:" + strings.Repeat("0a", 32)))(t)
	_, err = w.byCard(Card{honest.Code, address, honest.Trust})
	wantReason(t, err, "other_certificate")
}

func TestInMemoryIsBounded(t *testing.T) {
	const left = 10
	k := &InMemory{size: maxInMemory - left}
	text := make([]byte, left)
	check(t, k.Write("doc", text))
	wantReason(t, k.Write("other", text[:1]), "memory")
	check(t, k.Remove("doc"))
	file := must(k.Create("new"))(t)
	must(file.Write(text))(t)
	_, err := file.Write(text[:1])
	wantReason(t, err, "memory")
	check(t, file.Close())
	check(t, k.Write("doc", text[:4]))
	check(t, k.Write("doc", text[:6])) // what is replaced is room again
	check(t, k.Write("more", text[:4]))
	check(t, k.Remove("doc"))
	check(t, k.Remove("more"))
	if k.size != maxInMemory-left {
		t.Errorf("%d bytes are counted for nothing", k.size-maxInMemory+left)
	}
}
