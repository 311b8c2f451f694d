package main

import (
	"encoding/base32"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
)

// visitor sits at a computer that is not hers: what she does leaves nothing on it.
type visitor struct {
	t    *testing.T
	home string // and every other place where programs keep things
	card client.Card
}

func (w *town) visitor() *visitor { return &visitor{t: w.t, home: w.t.TempDir()} }

// types runs a command without a folder of keys; only the named files may be there afterwards. No command repeats the card's code, but the
// one that makes the card.
func (v *visitor) types(stdin string, args ...string) said {
	v.t.Helper()
	c := exec.Command(filepath.Join(bin, "strongroom"), args...)
	var out, errs strings.Builder
	c.Stdin, c.Stdout, c.Stderr, c.Dir = strings.NewReader(stdin), &out, &errs, v.home
	c.Env = []string{"PATH=" + os.Getenv("PATH")}
	for _, name := range []string{"HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "TMPDIR", "TEMP"} {
		c.Env = append(c.Env, name+"="+v.home)
	}
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		v.t.Fatal(err)
	}
	s := said{v.t, out.String(), errs.String(), c.ProcessState.ExitCode()}
	for line := range strings.SplitSeq(s.out+s.err, "\n") {
		if !strings.HasPrefix(line, "{") {
			checkText(v.t, strings.Join(args, " "), line)
		}
	}
	left, err := os.ReadDir(v.home)
	if err != nil || len(left) > 0 {
		v.t.Errorf("%s left %v (%v)", strings.Join(args, " "), left, err)
	}
	if v.card != (client.Card{}) {
		for _, text := range []string{v.card.Code.Code(), strings.ReplaceAll(v.card.Code.Code(), "-", " "), v.card.Code.Code()[:14]} {
			if strings.Contains(s.out+s.err, text) {
				v.t.Errorf("%s repeats the code", strings.Join(args, " "))
			}
		}
	}
	return s
}

// by runs a command with the card, scanned; stdin is what she types after that.
func (v *visitor) by(stdin string, args ...string) said {
	v.t.Helper()
	return v.types(v.card.Line()+"\n"+stdin, append([]string{"--card"}, args...)...)
}

// cardOf reads a card from its page, as eyes do.
func (w *town) cardOf(page string) client.Card {
	w.t.Helper()
	var code []string
	for _, row := range regexp.MustCompile(`<code>([A-Z2-7]{4}(?: [A-Z2-7]{4}){2})</code>`).FindAllStringSubmatch(page, -1) {
		code = append(code, row[1])
	}
	number := regexp.MustCompile(`<code>(\d{5} \d{5} \d{5})</code>`).FindAllStringSubmatch(page, -1)
	address := regexp.MustCompile(`<code[^>]*>(https://[^<]+)</code>`).FindStringSubmatch(page)
	if len(code) != 3 || len(number) != 2 || address == nil || number[0][1]+" "+number[1][1] != w.number {
		w.t.Fatalf("this is no card:\n%s", page)
	}
	c := client.Card{Code: must(sealing.ParseCard(strings.Join(code, " "))), Address: must(client.ParseAddress(address[1]))}
	c.Trust = must(client.ParseTrustNumber(evidence.SHA256(must(os.ReadFile(w.trust))).String()))
	return c
}

// card adds a card's code as it may be written, and the keys that it stands for.
func (s *sieve) card(t *testing.T, c client.Card, origin string) {
	t.Helper()
	identity, private, err := c.Code.Keys(origin)
	if err != nil {
		t.Fatal(err)
	}
	s.addKey("a card's signing key", must(private.Bytes()))
	line := regexp.MustCompile(`AGE-SECRET-KEY-PQ-1([A-Z0-9]{40})`).FindStringSubmatch(string(sealing.PlainIdentityFile(identity)))
	s.addText("a card's identity", line[1])
	code := c.Code.Code()
	for _, text := range []string{code, strings.ReplaceAll(code, "-", " "), strings.ReplaceAll(code, "-", "")} {
		s.addText("a card's code", text)
		s.addText("a card's code", strings.ToLower(text))
	}
	s.addKey("a card's number", must(base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(code, "-", "")[:32])))
}

// files are what lies in a folder, with its content.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			var text []byte
			text, err = os.ReadFile(path)
			found[path] = string(text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// giveCard invites a survivor and makes her card on the computer of who helps.
func (w *town) giveCard(helper *person, confirmer *person, trustees ...string) (v *visitor, actor string) {
	t := w.t
	t.Helper()
	v = w.visitor()
	offer := helper.types("", "actor", "invite", "--role", "survivor").object()
	page, before := w.path("card.html"), files(t, helper.home)
	answer := helper.types(str(t, offer, "code")+"\n", "enrol", "--card", "--to", page, "--language", "ar").object()
	if !maps.Equal(before, files(t, helper.home)) {
		t.Error("making a card changed the folder of who helps")
	}
	printed := string(must(os.ReadFile(page)))
	if v.card = w.cardOf(printed); !strings.Contains(printed, `<html lang="ar" dir="rtl">`) {
		t.Error("the page is not in the language that was asked for")
	}
	if info := must(os.Stat(page)); info.Mode().Perm() != 0o600 {
		t.Errorf("the page is %v", info.Mode())
	}
	if err := os.Remove(page); err != nil {
		t.Fatal(err)
	}
	actor = str(t, answer, "actor")
	v.by("", "own", "--json").refused(exitRefused, "card")
	admit := []string{"actor", "admit", str(t, offer, "invitation")}
	for _, id := range trustees {
		admit = append(admit, "--trustee", id)
	}
	helper.types("", admit...).object()
	v.by("", "whoami", "--json").refused(exitRefused, "card")
	confirmer.types("", "actor", "confirm", actor, "--number", str(t, answer, "key_number"), "--method", "in_person").object()
	if me := v.by("", "whoami", "--json").object(); me["actor"] != actor || me["current"] != true || me["key_number"] != answer["key_number"] || me["folder"] != nil {
		t.Errorf("by card: %v", me)
	}
	return v, actor
}

// A survivor without a computer of her own, through the real programs: a card, what is kept about her, her copy, her change of mind, a lost
// card. Nothing stays on the computers she sits at.
func TestCard(t *testing.T) {
	w := foundTown(t)
	third, advocate := w.newPerson("third"), w.newPerson("advocate")
	w.enrol(third, "custodian", w.admin, w.second)
	w.enrol(advocate, "advocate", w.second, third)
	trustees := []*person{w.newPerson("trustee-1"), w.newPerson("trustee-2"), w.newPerson("trustee-3")}
	for _, p := range trustees {
		w.enrol(p, "trustee", w.second, third)
	}
	she, id := w.giveCard(w.second, trustees[0], trustees[0].id, trustees[1].id)
	if !strings.Contains(she.by("", "own").ends(0).has("Nothing is kept on this computer", "so it cannot be compared").out, "No consent names you") {
		t.Error("something is kept about her already")
	}

	in := str(t, w.second.types("", "case", "open", "--member", "me:deposit,open,approve,manage", "--member", third.id+":open,approve,manage,duty",
		"--member", w.clinician.id+":deposit", "--keyholder", "me", "--keyholder", third.id).object(), "case")
	consent := str(t, w.clinician.types("", "consent", "give", "--case", in, "--form", w.write("form.txt", "signed form"), "--until", "365d", "--subject", id,
		"--examination", "yes", "--storage", "yes", "--photographs", "yes", "--court", "NL:information", "--yes").object(), "consent")
	report := w.write("report.txt", "what was found")
	item := string(byResult(t, w.clinician.types("", "deposit", report, "--case", in, "--content", "clinical", "--consent", consent).ends(0).out,
		map[string]int{"recorded": 1})[report].Item)
	w.second.types("", "item", "copy-for-subject", item).object()

	she.by("", "own").ends(0).has(consent, item, "no step is missing", "kept until", "Which records exist is what the vault says")
	third.types("She was called away by those she fears.\nemergency\n", "item", "break-glass", item, "--code", "life", "--to", w.path("urgent.txt")).object()
	she.by("", "own").ends(0).has("emergency opening (danger to life)", "no second person has looked into")
	own := she.by("", "own", "--json").object()
	for _, o := range own["items"].([]any) {
		if o := o.(map[string]any); o["item"] == item && (o["copy"] != true || str(t, o, "complete_to") < "2") {
			t.Errorf("her item: %v", o)
		}
	}
	typed := strings.ToLower(strings.ReplaceAll(she.card.Code.Code(), "-", " ")) + "\n" + she.card.Address.String() + "\n" + w.number + "\n"
	she.types(typed, "own", "--card").ends(0).has(item)
	she.by("", "open", item, "--purpose", "subject_access", "--to", w.path("mine.txt"), "--json").object()
	w.same("mine.txt", report)
	she.by("", "history", item).ends(0).has("is missing")
	she.by("", "consent", "delegate", consent, "--advocate", advocate.id, "--may", "read", "--until", "30d", "--json").object()
	she.by("", "consent", "end-delegation", consent, "--advocate", advocate.id, "--json").object()
	translated(t, "es", she.by("limitar\n", "consent", "narrow", consent, "--no", "court:NL", "--language", "es").ends(0).out)
	w.mistaken(she)
	w.lying(she)

	// The card is lost. Nobody alone replaces it, least of all an administrator; two of those whom she named do.
	trustees[2].types("", "actor", "rotate", id).refused(exitRefused, "trustee")
	offer := trustees[0].types("", "actor", "rotate", id).object()
	found := *she // who found the card
	she = w.visitor()
	lines := decodeLines[map[string]any](t, she.types(str(t, offer, "code")+"\n", "enrol", "--card", "--server", w.address, "--trust", w.trust,
		"--number", w.number, "--json").ends(0).out)
	parts, made := lines[0]["card"].(map[string]any), lines[1]
	she.card = client.Card{Code: must(sealing.ParseCard(str(t, parts, "code"))), Address: must(client.ParseAddress(str(t, parts, "address"))),
		Trust: found.card.Trust}
	if str(t, parts, "number") != w.number || she.card.Code == found.card.Code || made["actor"] != id {
		t.Errorf("the new card: %v", made)
	}
	found.by("", "own").ends(0).has(item) // until the first of the two has signed
	trustees[0].types("", "actor", "admit", str(t, offer, "invitation"), "--cause", "loss").object()
	found.by("", "own", "--json").refused(exitRefused, "card")
	trustees[0].types("", "actor", "confirm", id, "--number", str(t, made, "key_number")).refused(exitRefused, "second_person")
	trustees[2].types("", "actor", "confirm", id, "--number", str(t, made, "key_number")).refused(exitRefused, "trustee")
	trustees[1].types("", "actor", "confirm", id, "--number", str(t, made, "key_number")).object()
	found.by("", "own").ends(exitRefused).has("it was replaced by a newer one")
	found.by("withdraw\n", "consent", "withdraw", consent, "--json").refused(exitRefused, "card")
	she.by("", "own").ends(0).has(consent, item)
	she.by("retirer\n", "consent", "withdraw", consent, "--language", "uk").ends(exitRefused).has("нічого не підписано") // a word of another language
	withdrawn := she.by("відкликати\n", "consent", "withdraw", consent, "--language", "uk").ends(0).has("більше ніхто його не відкриє і не передасть")
	translated(t, "uk", withdrawn.out+withdrawn.err)
	for tag, text := range map[string][]string{"en": {"withdrawn on", "frozen"}, "fr": {"retiré le", "bloqué"}, "ar": {"سُحبت في", "موقوفة"}} {
		inHers := she.by("", "own", "--language", tag).ends(0).has(text...)
		if tag != "en" {
			translated(t, tag, inHers.out+inHers.err)
		}
	}
	programs := regexp.MustCompile(`"\d{4}-\d\d-\d\dT[^"]*"`)
	if en, uk := she.by("", "own", "--json").out, she.by("", "own", "--json", "--language", "uk").out; programs.ReplaceAllString(en, "") != programs.ReplaceAllString(uk, "") {
		t.Errorf("programs are told other things in another language:\n%s\n%s", en, uk)
	}
}

// mistaken: what is mistyped is said, nothing is repeated.
func (w *town) mistaken(she *visitor) {
	code := she.card.Code.Code()
	wrong := "A" + code[1:]
	if code[0] == 'A' {
		wrong = "B" + code[1:]
	}
	for _, line := range []string{wrong, code[:39], wrong + " " + she.card.Address.String() + " " + w.number, "yes", strings.Replace(she.card.Line(), "https", "HTTPS", 1)} {
		she.types(line+"\n", "own", "--card", "--json").refused(exitRefused, "card_code")
	}
	she.types("", "own", "--card", "--json").refused(exitRefused, "no_answer")
	she.types(code+"\nhttps://127.0.0.1:1\n"+w.number+"\n", "own", "--card", "--json").refused(exitCannot, "network")
	she.types(code+"\n"+she.card.Address.String()+"\n"+strings.Repeat("01234", 6)+"\n", "own", "--card", "--json").refused(exitRefused, "trust_number")
	other := client.Card{Code: sealing.NewCard(), Address: she.card.Address, Trust: she.card.Trust}
	she.types(other.Line()+"\n", "own", "--card", "--json").refused(exitRefused, "card")
	she.types("", "--card", "found", "--vault", "vault.example", "--role", "custodian", "--out", "x", "--json").refused(exitRefused, "card_here")
	she.types("", "--card", "connect", "--server", w.address, "--json").refused(exitRefused, "card_here")

	offer := w.second.types("", "actor", "invite", "--role", "advocate").object()
	w.second.types(str(w.t, offer, "code")+"\n", "enrol", "--card", "--to", w.path("no.html")).refused(exitRefused, "card_role")
	w.second.types(strings.Repeat("a", 26)+"\n", "enrol", "--card", "--to", w.path("no.html")).refused(exitRefused, "invitation")
	w.second.types("", "enrol", "--to", w.path("no.html")).refused(exitCannot, "usage")
	if _, err := os.Stat(w.path("no.html")); err == nil {
		w.t.Error("a card was written that nobody has")
	}
}

// lying: a vault that gives another trust file to who has nothing but a card.
func (w *town) lying(she *visitor) {
	other := strings.Replace(string(must(os.ReadFile(w.trust))), w.admin.id, string(evidence.NewID[evidence.ActorID]()), 1)
	liar := httptest.NewTLSServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) { io.WriteString(out, other) }))
	defer liar.Close()
	number := evidence.SHA256(liar.Certificate().RawSubjectPublicKeyInfo).String()
	lied := client.Card{Code: she.card.Code, Address: must(client.ParseAddress(liar.URL + "#sha256:" + number)), Trust: she.card.Trust}
	she.types(lied.Line()+"\n", "own", "--card", "--json").refused(exitRefused, "other_trust_file")
	she.types(lied.Code.Code()+"\n"+lied.Address.String()+"\n"+w.number+"\n", "own", "--card").ends(exitRefused).has("its trust file has another number than your card")
}

// A card whose keys the vault may have is never thrown away; one that it refuses is.
func TestCardWhoseAnswerIsLost(t *testing.T) {
	w := foundTown(t)
	code := func() string {
		t.Helper()
		return str(t, w.second.types("", "actor", "invite", "--role", "survivor").object(), "code")
	}
	enrol := func(through, code string, to ...string) said {
		t.Helper()
		return w.visitor().types(code+"\n", append([]string{"enrol", "--card", "--server", through, "--trust", w.trust, "--number", w.number}, to...)...)
	}

	// One answer is lost: it is asked for again.
	page := w.path("once.html")
	enrol(w.breaks(false), code(), "--to", page, "--json").object()
	w.cardOf(string(must(os.ReadFile(page))))

	// Nothing ever comes back. The vault has the keys, and the page is the only copy.
	page = w.path("never.html")
	offer := w.second.types("", "actor", "invite", "--role", "survivor").object()
	lost := enrol(w.breaks(true), str(t, offer, "code"), "--to", page).ends(exitCannot).has("answer_lost", "Keep the card", page)
	number := regexp.MustCompile(`\d{5}(?: \d{5}){5}`).FindAllString(strings.Join(strings.Fields(lost.err), " "), -1)
	she := w.visitor()
	she.card = w.cardOf(string(must(os.ReadFile(page))))
	she.card.Address = must(client.ParseAddress(w.address))
	w.second.types("", "actor", "admit", str(t, offer, "invitation")).object()
	for _, i := range w.second.types("", "actor", "list").object()["people"].([]any) {
		if i := i.(map[string]any); i["role"] == "survivor" && i["status"] == "pending" {
			w.custodian.types("", "actor", "confirm", str(t, i, "id"), "--number", number[len(number)-1], "--method", "in_person").object()
		}
	}
	if me := she.by("", "whoami", "--json").object(); me["current"] != true {
		t.Errorf("the card does not count: %v", me)
	}

	// The vault has other keys for this code: the page goes.
	page = w.path("refused.html")
	used := code()
	enrol(w.breaks(false), used, "--to", w.path("used.html"), "--json").object()
	enrol(w.breaks(false), used, "--to", page, "--json").refused(exitRefused, "invitation_answered")
	if _, err := os.Lstat(page); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the page of refused keys: %v", err)
	}

	// Without a page the card was shown before the vault learned of its keys.
	enrol(w.breaks(true), code()).ends(exitCannot).has("Code ", "Address ", "answer_lost", "Keep the card")
	shown := enrol(w.breaks(true), code(), "--json")
	if parts := decodeLines[map[string]any](t, shown.out)[0]["card"].(map[string]any); str(t, parts, "number") != w.number {
		t.Errorf("no card was shown: %v", parts)
	}
	w.cardOf(runProgram(t, code()+"\n", "strongroom", "--home", w.path("nobody"), "enrol", "--card", "--server", w.breaks(true),
		"--trust", w.trust, "--number", w.number, "--to", "-").ends(exitCannot).out)
}

// breaks is the address of a way to the vault that loses the answer to an invitation's keys once, after the vault has taken them. With ends
// nobody answers there from then on.
func (w *town) breaks(ends bool) string {
	w.t.Helper()
	vault := must(client.ParseAddress(w.address))
	on := httputil.NewSingleHostReverseProxy(must(url.Parse(vault.URL())))
	on.Transport = vault.Transport()
	s := httptest.NewUnstartedServer(on)
	var lost atomic.Bool
	on.ModifyResponse = func(resp *http.Response) error {
		if resp.Request.URL.Path != "/v1/invitations/answer" || resp.StatusCode != http.StatusOK || lost.Swap(true) {
			return nil
		}
		if ends {
			s.Listener.Close()
		}
		panic(http.ErrAbortHandler)
	}
	s.StartTLS()
	w.t.Cleanup(s.Close)
	return s.URL + "#sha256:" + evidence.SHA256(s.Certificate().RawSubjectPublicKeyInfo).String()
}
