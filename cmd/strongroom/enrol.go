package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/keys"
	"strongroom.example/strongroom/internal/tlog"
)

func foundCommand(a *app) *cobra.Command {
	var vault, role, organization, out string
	var plainKeys bool
	c := &cobra.Command{
		Use:   "found --vault NAME --role ROLE --out FILE",
		Short: "Make a founder's keys and founder file for a new vault",
		Long: `Makes your keys on this computer and writes a founder file: your own enrolment,
signed with your new key. It holds public keys only. Give it to the person who
sets up the vault; the trust file will name your key.

A vault has at least two founders, an administrator and a custodian. Everybody
else is invited and confirmed by two persons.

Signs:     your enrolment (actor.enrolled).
For good:  the trust file names this key. A lost founder key is replaced by two
           other persons, never by one.
Next:      once the vault is founded: strongroom connect`,
		Example: `  strongroom found --vault vault.example --role custodian --out cu.founder`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			k, err := a.keystore()
			if err != nil {
				return err
			}
			if profile, err := client.ReadProfile(k); err == nil && profile.Actor != "" {
				return decline("keys_exist")
			}
			a.warnPlain(plainKeys)
			signer, err := a.makeSigner(c.Context(), k, plainKeys)
			if err != nil {
				return err
			}
			f := client.Founder{Origin: vault, Role: evidence.Role(role), Organization: evidence.OrgID(organization),
				Signer: signer, Tool: tool(), Time: evidence.At(time.Now())}
			if f.Organization == "" {
				f.Organization = evidence.NewID[evidence.OrgID]()
			}
			if !f.Role.Keyless() {
				id, err := a.makeIdentity(k, plainKeys)
				if err != nil {
					return err
				}
				f.Recipient = id.Recipient()
			}
			return a.found(k, f, out)
		},
	}
	c.Flags().StringVar(&vault, "vault", "", "the vault's `NAME`, as strongroomd init said it")
	c.Flags().StringVar(&role, "role", "", "administrator or custodian")
	c.Flags().StringVar(&organization, "organization", "", "your organization's `ID` (default: a new one)")
	c.Flags().StringVar(&out, "out", "", "founder `FILE` to write")
	c.Flags().BoolVar(&plainKeys, "plain-keys", false, "store the keys without a passphrase; for tests only")
	required(c, "vault", "role", "out")
	return c
}

func (a *app) found(k client.Folder, f client.Founder, out string) error {
	id, file, err := client.Found(f)
	if err != nil {
		return err
	}
	if err := saveAs(out, func(w io.Writer) error { _, err := w.Write(file); return err }); err != nil {
		return err
	}
	if err := client.WriteProfile(k, client.Profile{Actor: id}); err != nil {
		return err
	}
	number := tlog.SixGroups(evidence.Fingerprint(f.Signer.SPKI(), f.Recipient))
	return a.show(map[string]any{"result": "made", "file": out, "actor": id, "role": f.Role, "organization": f.Organization, "key_number": number},
		row{"Made", "your keys, and the founder file " + out},
		row{"Key", number}, row{"You", string(id)}, row{"For", string(f.Organization)},
		row{"Keep", string(k) + " and your passphrase. Without them nobody can act or read as you."},
		row{"Next", "give the founder file to the person who sets up the vault"})
}

// reach are the flags by which a folder learns its vault.
type reach struct {
	server, trust, number string
	yes                   bool
}

func (r *reach) flags(c *cobra.Command) {
	c.Flags().StringVar(&r.server, "server", "", "the vault's address, a `URL` such as https://vault.example")
	c.Flags().StringVar(&r.server, "vault-url", "", "the same as --server")
	c.Flags().MarkHidden("vault-url")
	c.Flags().StringVar(&r.trust, "trust", "", "the vault's trust `FILE`")
	c.Flags().StringVar(&r.number, "number", "", "the vault `NUMBER` as you know it, instead of the question")
	c.Flags().BoolVar(&r.yes, "yes", false, "do not ask whether the vault number is right; for scripts")
}

func connectCommand(a *app) *cobra.Command {
	var r reach
	c := &cobra.Command{
		Use:   "connect --server URL --trust FILE",
		Short: "Tell this folder its vault: address and trust file",
		Long: `Shows the number of the vault's trust file, asks you to compare it by phone,
and remembers both. From then on everything the vault says is judged by this
trust file; it is never replaced by another one.

Founders run this once the vault is founded. Everybody else gives the same
options to strongroom enrol. With --server alone, only the address changes.

Signs:     nothing.
For good:  the folder belongs to this vault. A second vault needs a second
           folder.`,
		Example: `  strongroom connect --server https://vault.example --trust trust.json`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			k, err := a.keystore()
			if err != nil {
				return err
			}
			trust, err := a.connect(k, r)
			if err != nil {
				return err
			}
			profile, err := client.ReadProfile(k)
			if err != nil {
				return err
			}
			next := "strongroom enrol with the code you were given"
			if profile.Actor != "" {
				next = "strongroom whoami"
			}
			number := tlog.SixGroups(trust.Fingerprint())
			return a.show(map[string]any{"result": "connected", "vault": trust.Vault(), "vault_number": number, "server": profile.Address},
				row{"Connected", trust.Vault() + " at " + profile.Address}, row{"Vault", number}, row{"Next", next})
		},
	}
	r.flags(c)
	return c
}

// connect pins the trust file and remembers the address.
func (a *app) connect(k client.Folder, r reach) (trust tlog.Trust, err error) {
	if r.server != "" {
		if r.server, err = address(r.server); err != nil {
			return trust, err
		}
	}
	if r.trust != "" {
		text, err := os.ReadFile(r.trust)
		if err != nil {
			return trust, err
		}
		if trust, err = tlog.ParseTrust(text); err != nil {
			return trust, cannot("trust_file", err)
		}
		if err := a.compare(k, trust, r); err != nil {
			return trust, err
		}
		if err := client.Pin(k, trust); err != nil {
			return trust, err
		}
	} else if trust, err = client.ReadTrust(k); errors.Is(err, fs.ErrNotExist) {
		return trust, usage("--trust is missing")
	} else if err != nil {
		return trust, err
	}
	profile, err := client.ReadProfile(k)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return trust, err
	}
	if r.server == "" {
		if profile.Address == "" {
			return trust, usage("--server is missing")
		}
		return trust, nil
	}
	profile.Address = r.server
	return trust, client.WriteProfile(k, profile)
}

// compare lets the person check the vault number over a second channel, unless this folder trusts the vault already.
func (a *app) compare(k client.Folder, trust tlog.Trust, r reach) error {
	if pinned, err := client.ReadTrust(k); err == nil && pinned.Fingerprint() == trust.Fingerprint() {
		return nil
	}
	number := tlog.SixGroups(trust.Fingerprint())
	if r.number != "" {
		if given, err := tlog.ParseSixGroups(r.number); err != nil || given != number {
			return decline("number_differs")
		}
		return nil
	}
	printRows(a.err, row{"Vault", trust.Vault()}, row{"Number", number},
		row{"Compare", "Call the vault's custodian on a number you already had, not one from the invitation, and read all six groups to each other."})
	if r.yes {
		return nil
	}
	answer, err := a.ask(`Type "same" if all six are the same; anything else stops:`)
	if err == nil && answer != "same" {
		err = decline("declined")
	}
	return err
}

// address accepts https, and http where nobody can listen in.
func address(s string) (string, error) {
	u, err := url.Parse(strings.TrimSuffix(s, "/"))
	if err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", usage("--server is not an address such as https://vault.example")
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", decline("not_encrypted")
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return "", usage("--server is not an address such as https://vault.example")
	}
	return u.String(), nil
}

func enrolCommand(a *app) *cobra.Command {
	var r reach
	var plainKeys bool
	c := &cobra.Command{
		Use:   "enrol [CODE]",
		Short: "Join a vault: make your keys and answer an invitation",
		Long: `Shows the vault number to be compared by phone, shows what you are invited for,
makes your keys on this computer and offers their public halves to the vault.
Without CODE you are asked for it; that way it does not stay in the command
history.

You can act once the person who invited you has admitted your keys, and another
person has called you and confirmed your key number.

For new keys after a loss, use a new folder: --home FOLDER.

Signs:     that you hold these keys and want them in this vault.
For good:  nothing; an unconfirmed key can do nothing.`,
		Example: `  strongroom enrol --server https://vault.example --trust trust.json`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			k, err := a.keystore()
			if err != nil {
				return err
			}
			if _, err := a.connect(k, r); err != nil {
				return err
			}
			code := ""
			if len(args) > 0 {
				code = args[0]
			} else if code, err = a.ask("Invitation code:"); err != nil {
				return err
			}
			if code = strings.NewReplacer(" ", "", "-", "").Replace(code); !invitationCode.MatchString(code) {
				return decline("code_form")
			}
			return a.enrol(c.Context(), k, code, plainKeys)
		},
	}
	r.flags(c)
	c.Flags().BoolVar(&plainKeys, "plain-keys", false, "store the keys without a passphrase; for tests only")
	return c
}

// invitationCode is the form of a code (api/openapi.yaml, Secret).
var invitationCode = regexp.MustCompile(`^[A-Za-z2-7]{26}$`)

func (a *app) enrol(ctx context.Context, k client.Folder, code string, plainKeys bool) error {
	first, err := a.client(k, nil)
	if err != nil {
		return err
	}
	terms, err := first.InvitationTerms(ctx, code)
	if evidence.KindOf(err) == evidence.NotFound {
		return evidence.Refuse(evidence.NotFound, "invitation")
	}
	if err != nil {
		return err
	}
	if profile, err := client.ReadProfile(k); err == nil && profile.Actor != "" && (terms.Rotation || string(profile.Actor) != terms.Actor) {
		return decline("keys_exist")
	}
	invited := "be " + plain(string(terms.Role)) + " for " + terms.Organization
	if terms.Rotation {
		invited = "replace the keys of " + terms.Actor + ", " + plain(string(terms.Role))
	}
	printRows(a.err, row{"Invited to", invited})
	a.warnPlain(plainKeys)
	signer, err := a.makeSigner(ctx, k, plainKeys)
	if err != nil {
		return err
	}
	if !evidence.Role(terms.Role).Keyless() {
		if _, err := a.makeIdentity(k, plainKeys); err != nil {
			return err
		}
	}
	cl, err := a.client(k, signer)
	if err != nil {
		return err
	}
	fingerprint, err := cl.AnswerInvitation(ctx, code)
	if err != nil {
		return err
	}
	number := tlog.SixGroups(fingerprint)
	return a.show(map[string]any{"result": "answered", "actor": terms.Actor, "role": terms.Role, "organization": terms.Organization, "key_number": number},
		row{"Made", "your keys, on this computer only"},
		row{"Key", number}, row{"You", terms.Actor},
		row{"Keep", string(k) + " and your passphrase. Without them nobody can act or read as you."},
		row{"Next", "A second person will call you. Read them the six groups above."})
}

func whoamiCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "whoami",
		Short: "Show who you are in the vault, your key number and the vault number",
		Long: `Shows your id and key number from this computer's keys, then asks the vault for
your entry and checks it: whether this key is the one that counts for you.

Signs:     a sign-in.`,
		Example: `  strongroom whoami --json`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			k, err := a.keystore()
			if err != nil {
				return err
			}
			signer, err := a.signer(c.Context(), k)
			if err != nil {
				return err
			}
			return a.whoami(c.Context(), k, signer)
		},
	}
}

type whoami struct {
	Actor        evidence.ActorID `json:"actor"`
	Role         evidence.Role    `json:"role,omitempty"`
	Organization evidence.OrgID   `json:"organization,omitempty"`
	Status       evidence.Status  `json:"status,omitempty"`
	KeyNumber    string           `json:"key_number"`
	Current      bool             `json:"current"`          // this key is the one that counts
	Reason       string           `json:"reason,omitempty"` // why the vault's entry could not be checked
	Vault        string           `json:"vault,omitempty"`
	VaultNumber  string           `json:"vault_number,omitempty"`
	Server       string           `json:"server,omitempty"`
	Folder       string           `json:"folder"`
}

func (a *app) whoami(ctx context.Context, k client.Folder, signer *keys.Signer) error {
	recipient := ""
	id, err := a.identity(k)
	if err == nil {
		recipient = id.Recipient()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	profile, err := client.ReadProfile(k)
	if err != nil {
		return err
	}
	w := whoami{Actor: profile.Actor, KeyNumber: tlog.SixGroups(evidence.Fingerprint(signer.SPKI(), recipient)), Server: profile.Address, Folder: string(k)}
	rows := []row{{"You", string(w.Actor)}, {"Key", w.KeyNumber}}
	state := "not connected to a vault yet"
	if cl, err := a.client(k, signer); err == nil {
		w.Vault, w.VaultNumber = cl.Trust().Vault(), tlog.SixGroups(cl.Trust().Fingerprint())
		v, err := look(ctx, cl, evidence.ActorOf(w.Actor))
		switch {
		case client.LieOf(err) != "":
			return err
		case err != nil:
			p := explain(err)
			w.Reason, state = p.reason, p.sentence
		default:
			me := v.State(evidence.ActorOf(w.Actor)).(*evidence.ActorState)
			w.Role, w.Organization, w.Status, w.Current = me.Role, me.Organization, me.Status, tlog.SixGroups(me.Fingerprint()) == w.KeyNumber
			state = statuses[me.Status]
			if !w.Current {
				state += ". This key is not the one that counts for you."
			}
			rows = append(rows, row{"Role", plain(string(me.Role)) + " for " + string(me.Organization)})
		}
		rows = append(rows, row{"Vault", w.Vault + " at " + w.Server}, row{"", w.VaultNumber})
	}
	return a.show(w, append(rows, row{"State", state}, row{"Folder", w.Folder})...)
}

// statuses says what has become of a person's key.
var statuses = map[evidence.Status]string{
	evidence.StatusPending:   "not yet confirmed by a second person",
	evidence.StatusActive:    "active",
	evidence.StatusSuspended: "suspended",
	evidence.StatusRevoked:   "stopped for good",
}

// required marks flags that a command cannot do without.
func required(c *cobra.Command, names ...string) {
	for _, name := range names {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // the flag does not exist: a mistake in this program
		}
	}
}

// saveAs writes a new file of the person's, whole or not at all.
func saveAs(name string, write func(io.Writer) error) error {
	err := client.SaveAs(name, write)
	if errors.Is(err, fs.ErrExist) {
		p := decline("exists")
		p.sentence = name + ": " + p.sentence
		return p
	}
	return err
}
