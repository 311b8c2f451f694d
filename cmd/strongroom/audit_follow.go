package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"strongroom.example/strongroom/internal/audit"
	"strongroom.example/strongroom/internal/client"
)

// exitAlarm is the exit code of the outside audit alone.
const exitAlarm = 4

// following is what the person asked for.
type following struct {
	once, cosign bool
	every        time.Duration
	state        string
}

func auditFollowCommand(a *app) *cobra.Command {
	var o following
	c := &cobra.Command{
		Use:   "follow",
		Short: "Follow the record book from outside, and raise an alarm if it forks",
		Long: `Reads the record book from one signed state to the next and keeps what it
checked in a folder of its own. The vault cannot change that folder: of two
record books that exclude each other one is found to be false, whoever signed
them.

Each time it checks that the newest state is signed by a key of your trust file,
that it is the state checked before, grown, and that all entries, one by one,
lead to it. An auditor also follows every list of last steps that the vault
signs: nothing is left out of it, entered twice, changed or taken back. And an
auditor reads what was signed at each entry: it stands in the list under its own
name.

Without an account the entries are checked, not the lists. Such a folder is made
with strongroom connect --server URL --trust FILE.

--cosign signs the states that the vault has published, each right after a list
of last steps of which every entry was read, and hands the signatures in. A
package for a court rests on one of them, and is made within a minute: look as
often as that. The key is made by strongroom audit key. Nothing is signed while
an alarm stands.

It can be stopped at any moment and goes on where it was. Reading begins at the
first entry, so the first time takes longer: minutes for a million entries. So
it does once in a folder of an earlier version, which had not read what was
signed.

ALARM      means two record books, or a list that is not that of the entries. It
           is no fault that goes away. What was checked before stays as it is.
           Both signed states are kept as evidence below alarms/ in the folder;
           anybody checks them with strongroom audit compare, without a network.
           Copy that folder to a safe place. Call the vault's custodian and the
           other auditors, on numbers you already had; do not ask the vault.

Signs:     nothing; with --cosign that the record book was followed to there.

Exit code: 0 all is right, 1 refused, 2 could not, 4 ALARM.`,
		Example: `  strongroom audit follow --once
  strongroom audit follow --every 30s --cosign`,
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.BoolVar(&o.once, "once", false, "look once and end, instead of going on")
	f.DurationVar(&o.every, "every", time.Minute, "`TIME` between two looks")
	f.StringVar(&o.state, "state", "", "`FOLDER` of what was checked (default: audit, in your folder)")
	f.BoolVar(&o.cosign, "cosign", false, "sign what was checked, and hand that in")
	c.MarkFlagsMutuallyExclusive("once", "every")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if o.every < time.Second {
			return usage("--every is at least 1s")
		}
		return a.follow(c.Context(), o)
	}
	return c
}

func (a *app) follow(ctx context.Context, o following) error {
	dir, err := a.auditFolder(o.state)
	if err != nil {
		return err
	}
	cl, err := a.outside(ctx)
	if err != nil {
		return err
	}
	var by *audit.Cosigner
	if o.cosign {
		if by, err = a.cosigner(ctx); err != nil {
			return err
		}
	}
	release, err := aloneIn(dir)
	if err != nil {
		return err
	}
	if release == nil {
		return &problem{code: exitRefused, label: "Refused", reason: "audit_running", kept: keptAll,
			sentence: "Another run of strongroom audit follow works in this folder.", next: "Let it go on, or give another folder: --state."}
	}
	defer release()
	meter := &meter{app: a}
	defer meter.end()
	f, err := cl.Follow(ctx, dir, meter.report)
	if err != nil {
		return a.auditProblem(err, nil)
	}
	defer f.Close()
	for first := true; ; first = false {
		result, err := a.followOnce(ctx, f, o, by, meter)
		switch {
		case err == nil && (first || result.changed()):
			if err = a.show(result, result.rows()...); err == nil && len(result.NewVoid) > 0 {
				err = f.State.Tell()
			}
		case err != nil && !o.once && network(err):
			a.say("The vault could not be reached; the next look is in %s.\n", o.every)
			err, result = nil, followed{} // what it told is told again
		}
		if err == nil && len(result.NewVoid) > 0 {
			return endsWith(exitAlarm) // the answer has said why
		}
		if err == nil && result.More {
			continue
		}
		if err != nil || o.once {
			return err
		}
		if err := sleep(ctx, o.every); err != nil {
			return nil // stopped by the person
		}
	}
}

// aloneIn takes the folder of what is followed for this run: nil if another one works in it.
func aloneIn(dir string) (release func() error, err error) {
	held, err := client.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	release, _, err = held.Lock("follow.lock")
	return release, err
}

// audit follows the record book to its end and reads the vault as far as it may. Where another run follows in that folder, what the vault lists
// is held against nothing.
func (a *app) audit(ctx context.Context, cl *client.Client, sample int, state string) (client.Audit, error) {
	dir, err := a.auditFolder(state)
	if err != nil {
		return client.Audit{}, err
	}
	release, err := aloneIn(dir)
	if err != nil {
		return client.Audit{}, err
	}
	if release == nil {
		return cl.Audit(ctx, sample, nil)
	}
	defer release()
	meter := &meter{app: a}
	defer meter.end()
	f, err := cl.Follow(ctx, dir, meter.report)
	if err != nil {
		return client.Audit{}, a.auditProblem(err, nil)
	}
	defer f.Close()
	for more := true; more; {
		step, err := f.Step(ctx)
		if err != nil {
			return client.Audit{}, a.auditProblem(err, f)
		}
		more = step.More
	}
	meter.end()
	return cl.Audit(ctx, sample, f)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// followOnce does one step and what was asked for after it.
func (a *app) followOnce(ctx context.Context, f *client.Following, o following, by *audit.Cosigner, m *meter) (r followed, err error) {
	defer m.end()
	owed, err := a.cosign(ctx, f, by) // of an earlier look: many steps later it would not be known any more
	if err != nil {
		return r, err
	}
	step, err := f.Step(ctx)
	if err != nil {
		return r, a.auditProblem(err, f)
	}
	cp, _ := f.State.Head()
	r = followed{
		Vault: cp.Origin, From: step.From, Size: step.Size, Root: cp.Root.String(), Lists: !f.HashesOnly, Publications: step.Publications,
		Covers: f.State.Covers(), Statements: f.State.Read(), Void: f.State.Void(), NewVoid: step.Void, More: step.More,
	}
	if r.Alarms, err = f.State.Alarms(); err != nil {
		return r, err
	}
	if by != nil && f.HashesOnly && len(r.Void) == 0 && len(r.Alarms) == 0 {
		return r, &problem{code: exitRefused, label: "Refused", reason: "audit_cosign", kept: keptAll,
			sentence: "Only an auditor signs what was followed: the lists of last steps cannot be checked without that role.",
			next:     "Enrol as an auditor, or leave out --cosign."}
	}
	r.Cosigned, err = a.cosign(ctx, f, by)
	r.Cosigned = max(r.Cosigned, owed)
	return r, err
}

// cosign signs what was followed, unless something is wrong with it, and returns the size of the newest state that it signed, or 0.
func (a *app) cosign(ctx context.Context, f *client.Following, by *audit.Cosigner) (int64, error) {
	alarms, err := f.State.Alarms()
	if err != nil || by == nil || f.HashesOnly || len(alarms) > 0 || len(f.State.Void()) > 0 {
		return 0, err
	}
	size, err := f.Cosign(ctx, by)
	if err != nil {
		return size, a.auditProblem(err, f)
	}
	return size, nil
}

// followed is what a look came to.
type followed struct {
	Vault        string   `json:"vault"`
	From         int64    `json:"from"`
	Size         int64    `json:"size"`
	Root         string   `json:"root"`
	Lists        bool     `json:"map"`
	Publications int64    `json:"publications"`
	Covers       int64    `json:"covers"`
	Statements   int64    `json:"statements"` // read, of the entries that the lists cover
	Void         []int64  `json:"void,omitempty"`
	NewVoid      []int64  `json:"new_void,omitempty"`
	More         bool     `json:"more,omitempty"` // lists, for the next look, which is at once
	Cosigned     int64    `json:"cosigned,omitempty"`
	Alarms       []string `json:"alarms,omitempty"`
}

func (r followed) changed() bool { return r.Size > r.From || r.Publications > 0 || len(r.NewVoid) > 0 }

func (r followed) rows() []row {
	rows := []row{
		{"Followed", fmt.Sprintf("%s of %s, %d new", plural(int(r.Size), "entry", "entries"), r.Vault, r.Size-r.From)},
		{"Checked", "The newest state is signed by a key of your trust file. It is the state checked before, grown. All its entries lead to it."},
	}
	if r.Lists {
		rows = append(rows,
			row{"Lists", fmt.Sprintf("%d new, up to entry %d: nothing left out, entered twice, changed or taken back.", r.Publications, r.Covers)},
			row{"Read", fmt.Sprintf("what was signed at %s: each stands under its own name.", plural(int(r.Statements), "entry", "entries"))})
	} else {
		rows = append(rows, row{"Not", "The lists of last steps were not checked: only an auditor of the vault may read them. What was left out of a history is not seen here."})
	}
	if len(r.NewVoid) > 0 {
		rows = append(rows, row{"ALARM", fmt.Sprintf("The vault says of entries %s that nobody signed them: they are in the record book, and no event belongs to them. Nothing was signed with --cosign. Ask the vault's custodian where they come from.", numbers(r.NewVoid))})
	} else if len(r.Void) > 0 {
		rows = append(rows, row{"Void", "entries " + numbers(r.Void) + ", as told before; nothing is cosigned, for the list of last steps is not whole"})
	}
	if r.Cosigned > 0 {
		rows = append(rows, row{"Signed", fmt.Sprintf("the state of %s, as an auditor", plural(int(r.Cosigned), "entry", "entries"))})
	}
	for _, dir := range r.Alarms {
		rows = append(rows, row{"ALARM", "from an earlier look stands. Nothing is signed while it does."}, row{"Evidence", dir})
	}
	return rows
}

// numbers lists entries, the first of many.
func numbers(list []int64) string {
	const most = 8
	var b strings.Builder
	for i, n := range list[:min(len(list), most)] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, n)
	}
	if len(list) > most {
		fmt.Fprintf(&b, " and %d more", len(list)-most)
	}
	return b.String()
}

// auditFolder is where what was checked lies.
func (a *app) auditFolder(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	if a.card {
		return "", decline("card_here")
	}
	home, err := a.folder()
	return filepath.Join(home, "audit"), err
}

// outside returns the client of this folder. Who has no account in the vault needs no keys.
func (a *app) outside(ctx context.Context) (*client.Client, error) {
	k, err := a.keystore()
	if err != nil {
		return nil, err
	}
	profile, err := client.ReadProfile(k)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, decline("no_vault")
	}
	if err != nil {
		return nil, err
	}
	if profile.Actor == "" {
		return a.client(k, nil)
	}
	return a.session(ctx)
}

// auditProblem keeps the evidence of an alarm and tells it; other errors pass.
func (a *app) auditProblem(err error, f *client.Following) error {
	if errors.Is(err, audit.ErrDamaged) {
		return &problem{code: exitCannot, label: "Not done", reason: "audit_damaged", cause: err, kept: "Nothing was changed.",
			sentence: "The folder of what was checked does not hold what was written to it.",
			next:     "Put it back from a copy. To begin anew, give an empty folder with --state; what was checked before is then not compared."}
	}
	var p *problem
	var lie *client.Alarm
	var alarm *audit.Alarm
	switch {
	case errors.As(err, &alarm):
		p = &problem{
			code: exitAlarm, label: "ALARM", reason: string(alarm.Reason), cause: err,
			sentence: "The vault showed what cannot be: " + auditLies[alarm.Reason] + ".",
			kept:     "What was checked before stays as it is.",
			next:     auditNext,
		}
		if alarm.Entry >= 0 {
			p.where = fmt.Sprintf("entry %d", alarm.Entry)
		}
	case errors.As(err, &lie): // of what this folder saw besides
		p = explainAlarm(lie)
		p.code = exitAlarm
	default:
		return err
	}
	if f == nil {
		return p
	}
	dir, kept := f.Keep(err)
	if kept != nil {
		return errors.Join(p, kept)
	}
	p.kept += " Both signed states are evidence: " + dir + " holds them, and anybody checks them with strongroom audit compare."
	return p
}

const auditNext = "Copy the evidence to a safe place. Call the vault's custodian and the other auditors on numbers you already had, and tell the courts that rely on this vault. Do not open or share anything until it is explained."

// auditLies say what each alarm is about.
var auditLies = map[audit.Reason]string{
	audit.UnsignedHead: "its newest state is signed with a key that your trust file does not name",
	audit.TwoRoots:     "two record books of the same length, both signed, with different entries; this alone proves that there are two",
	audit.Forked:       "a record book, signed, that is not the one checked before, grown: there are two",
	audit.FalseProof:   "a false proof that the record book is the one checked before, grown; its entries show that it is",
	audit.RolledBack:   "a record book that is shorter than it was; entries that were in it are not shown any more",
	audit.FalseLeaves:  "entries that are not those of the state it signed",
	audit.Elsewhere:    "answers to other questions that cannot be true",
	audit.FalsePage:    "an answer of another length than was asked for",

	audit.ForeignHeads:   "a list of last steps that it did not sign, or that is not in the record book where it says",
	audit.BrokenHeads:    "a list of last steps that does not follow the one before",
	audit.FalseCount:     "a list of last steps that counts other entries than it covers",
	audit.OmittedInsert:  "an entry that is left out of the list of last steps",
	audit.VoidInsert:     "an entry that is in the list of last steps and said to be of nobody",
	audit.RepeatedInsert: "two entries in one place of the list of last steps",
	audit.OtherMap:       "a signed list of last steps that is not that of the entries",
	audit.FalseKey:       "an entry that stands under another name in the list of last steps than the one that was signed",
	audit.FalseStatement: "an entry without what was signed there, or with something else; what is not read is not signed",
}

// meter shows how far a long reading is, on standard error, if a person sits there and it takes a while.
type meter struct {
	app  *app
	pool *mpb.Progress
	bar  *mpb.Bar
}

// worthShowing is how many values are read without a display.
const worthShowing = 20_000

func (m *meter) report(done, total int64) {
	if m.bar == nil {
		if _, person := terminal(m.app.err); !person || m.app.json || total < worthShowing {
			return
		}
		m.pool = mpb.New(mpb.WithOutput(m.app.err), mpb.WithWidth(30))
		m.bar = m.pool.AddBar(total, mpb.BarRemoveOnComplete(), mpb.PrependDecorators(decor.Name("Reading", decor.WC{W: indent, C: decor.DindentRight})),
			mpb.AppendDecorators(decor.Percentage(decor.WC{W: 5}), decor.AverageETA(decor.ET_STYLE_GO, decor.WC{W: 8})))
	}
	m.bar.SetCurrent(done)
}

// end takes the display away.
func (m *meter) end() {
	if m.bar != nil {
		m.bar.Abort(true)
		m.pool.Wait()
		m.bar, m.pool = nil, nil
	}
}
