package daemon

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"strongroom.example/strongroom/internal/config"
	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/objects/s3"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog"
	"strongroom.example/strongroom/internal/translog/remote"
)

// Reached is what came of trying something that a configuration names.
type Reached struct {
	Name string `json:"name"` // what it is for
	OK   bool   `json:"ok"`
	Says string `json:"says"` // one line
}

// reachTime is what one of them may take.
const reachTime = 20 * time.Second

// Reach tries everything that a configuration names, whether there is a vault in the folder yet or not, and whether it is running or not. It
// changes nothing anywhere; time-stamp authorities are asked for a stamp over the vault's name, which nobody keeps.
func Reach(ctx context.Context, dir string, o Options, report func(Reached)) error {
	f := folder(dir)
	c, err := f.readConfig(o.ConfigFile)
	if err != nil {
		return err
	}
	s, trust, err := f.inUse()
	if errors.Is(err, ErrNoVault) || errors.Is(err, ErrNotFounded) {
		err = nil
	}
	if err != nil {
		return err
	}
	r := reaching{folder: f, options: o, config: c, settings: s, trust: trust}
	try := func(name string, do func(context.Context) (string, error)) {
		ctx, cancel := context.WithTimeout(ctx, reachTime)
		defer cancel()
		says, err := do(ctx)
		if inURL := (*url.Error)(nil); errors.As(err, &inURL) { // an address may hold a key
			err = inURL.Err
		}
		if err != nil {
			says = strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		report(Reached{name, err == nil, says})
	}
	if s.Origin != "" {
		if err := s.agrees(c); err != nil {
			report(Reached{"vault", false, err.Error()})
		}
	}
	if c.Records.PostgreSQL != nil {
		try("records", r.records)
	}
	if c.Log.Trillian != nil {
		try("log", r.log)
	}
	if c.Objects.S3 != nil {
		try("objects", r.objects)
	}
	for _, w := range trust.Policy().Witnesses() {
		if !w.Auditor {
			try("witness "+w.Name, func(ctx context.Context) (string, error) { return r.witness(ctx, w.URL) })
		}
	}
	if err := r.authorities(try); err != nil {
		return err
	}
	if c.Traces != nil {
		try("traces", r.traces)
	}
	return nil
}

// reaching is what is known while things are tried: settings and trust are zero where there is no vault yet.
type reaching struct {
	folder   folder
	options  Options
	config   config.Config
	settings settings
	trust    tlog.Trust
}

func (r reaching) records(ctx context.Context) (says string, err error) {
	db, err := openPostgres(ctx, *r.config.Records.PostgreSQL)
	if err != nil {
		return "", err
	}
	defer db.Close()
	i, err := db.Inspect(ctx)
	if err != nil {
		return "", err
	}
	began := r.options.Now()
	theirs, err := db.Clock(ctx)
	if err != nil {
		return "", err
	}
	ahead := began.Add(r.options.Now().Sub(began) / 2).Sub(theirs)
	switch {
	case len(i.Missing) > 0:
		return "", fmt.Errorf("the role may not %s: grant it with strongroomd migrate --role", strings.Join(i.Missing, ", "))
	case len(i.Beyond) > 0:
		return "", fmt.Errorf("the role may %s, so it could change what was accepted: name another role than the owner's, and grant it what it needs with strongroomd migrate --role",
			strings.Join(i.Beyond, ", "))
	case ahead.Abs() > clockTolerance:
		return "", fmt.Errorf("the clock of this machine is %s the database's", apart(ahead))
	}
	how := "without TLS, on this machine"
	if i.TLS != "" {
		how = i.TLS
	}
	return fmt.Sprintf("%s, %s; schema of this version; the role has the rights that are needed and no more; clocks agree", i.Server, how), nil
}

// apart says how far a clock is from another.
func apart(ahead time.Duration) string {
	if ahead < 0 {
		return fmt.Sprintf("%s behind", -ahead.Round(time.Second))
	}
	return fmt.Sprintf("%s ahead of", ahead.Round(time.Second))
}

func (r reaching) log(ctx context.Context) (says string, err error) {
	at, err := trillian(*r.config.Log.Trillian, r.settings.Tree)
	if err != nil {
		return "", err
	}
	log, err := remote.Open(ctx, at)
	if errors.Is(err, translog.ErrNoTree) && r.settings.Tree == 0 {
		return "answers; init makes the tree", nil
	}
	if err != nil {
		return "", err
	}
	defer log.Close()
	h, err := log.Health(ctx)
	switch {
	case err != nil:
		return "", err
	case h.Late:
		return "", fmt.Errorf("the tree has %d entries and its newest root is %s old: the signer does not seem to run", h.Size, h.Age.Round(time.Second))
	}
	return fmt.Sprintf("the tree has %d entries, its newest root is %s old", h.Size, h.Age.Round(time.Second)), nil
}

func (r reaching) objects(ctx context.Context) (says string, err error) {
	store, err := s3.Open(ctx, bucket(*r.config.Objects.S3, r.settings.Origin))
	if errors.Is(err, objects.ErrNotFound) && r.settings.Origin == "" {
		return "the bucket is fit for evidence; init makes the store in it", nil
	}
	if err != nil {
		return "", err
	}
	return "the bucket is fit for evidence, and the vault's", store.Close()
}

func (r reaching) witness(ctx context.Context, address string) (says string, err error) {
	client, err := witnessClient(r.config.Witnesses)
	if err != nil {
		return "", err
	}
	return get(ctx, client, address)
}

// get reports whether anybody answers there: to this question no service has a good answer.
func get(ctx context.Context, client *http.Client, address string) (says string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", errors.New("its address is none")
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	return "answers", response.Body.Close()
}

func (r reaching) authorities(try func(string, func(context.Context) (string, error))) error {
	roots, err := parseAll(r.trust.TimestampRoots())
	if err != nil {
		return err
	}
	between, err := intermediates(r.trust)
	if err != nil {
		return err
	}
	list, err := r.folder.timestampers(r.config.Timestamps, roots, between, r.settings.Origin, r.options.Now)
	if err != nil {
		return err
	}
	for _, a := range list {
		if a.name == config.Development {
			continue
		}
		try("time stamps "+a.name, func(ctx context.Context) (string, error) {
			if len(roots) == 0 {
				return get(ctx, http.DefaultClient, a.url)
			}
			message := []byte(r.settings.Origin)
			began := r.options.Now()
			response, _, err := a.ask(ctx, message)
			if err != nil {
				return "", err
			}
			stamp, err := r.trust.VerifyTimestamp(response, message)
			if err != nil {
				return "", err
			}
			if ahead := began.Sub(stamp.Time); ahead.Abs() > clockDrift+stamp.Accuracy {
				return "", fmt.Errorf("the clock of this machine is %s the authority's", apart(ahead))
			}
			return "stamps, under a root of the trust file; clocks agree", nil
		})
	}
	return nil
}

// traces sends the collector nothing, which it takes.
func (r reaching) traces(ctx context.Context) (says string, err error) {
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if file := r.config.Traces.CAFile; file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(pem) {
			return "", errors.New("ca_file: no certificate in it")
		}
	}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: trust}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(r.config.Traces.Endpoint, "/")+"/v1/traces", bytes.NewReader(nil))
	if err != nil {
		return "", errors.New("its address is none")
	}
	request.Header.Set("Content-Type", "application/x-protobuf")
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	if err := response.Body.Close(); err != nil || response.StatusCode == http.StatusOK {
		return "takes traces", err
	}
	return "", fmt.Errorf("answers %d; credentials for it come from OTEL_EXPORTER_OTLP_HEADERS, which this check does not send", response.StatusCode)
}
