package deploy

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

// kustomization is what we use of that file.
type kustomization struct {
	meta.TypeMeta      `json:",inline"`
	Namespace          string   `json:"namespace"`
	Resources          []string `json:"resources"`
	Components         []string `json:"components"`
	ConfigMapGenerator []struct {
		Name  string   `json:"name"`
		Files []string `json:"files"`
	} `json:"configMapGenerator"`
	Images []struct {
		Name    string `json:"name"`
		NewName string `json:"newName"`
		NewTag  string `json:"newTag"`
	} `json:"images"`
}

// workload is what runs pods.
type workload struct {
	name     string
	replicas int32
	selector *meta.LabelSelector // nil of a job
	labels   map[string]string
	pod      core.PodSpec
	claims   []string
	step     string // the kustomization that brings it
}

// cluster is all that the manifests make.
type cluster struct {
	kustomization
	workloads map[string]workload
	accounts  map[string]core.ServiceAccount
	services  map[string]core.Service
	budgets   map[string]policy.PodDisruptionBudget
	policies  map[string]networking.NetworkPolicy
	volumes   []string
}

// decode reads a document, and refuses what its type does not know.
func decode[T any](t *testing.T, file string, doc []byte) (v T) {
	t.Helper()
	if err := yaml.UnmarshalStrict(doc, &v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return v
}

func manifests(t *testing.T) cluster {
	t.Helper()
	dir := filepath.Join(folder, "kubernetes")
	c := cluster{
		workloads: map[string]workload{}, accounts: map[string]core.ServiceAccount{}, services: map[string]core.Service{},
		budgets: map[string]policy.PodDisruptionBudget{}, policies: map[string]networking.NetworkPolicy{},
	}
	read := func(path string) kustomization {
		text, err := os.ReadFile(filepath.Join(dir, path, "kustomization.yaml"))
		check(t, err)
		return decode[kustomization](t, path+"/kustomization.yaml", text)
	}
	c.Images = read("images").Images
	for _, step := range []struct {
		path, images string
		on           []string // kustomizations that it brings along
		rest         []string // files that are none of its manifests
	}{
		{"engines", "../images", nil, []string{"kustomization.yaml", "config.yaml"}},
		{"operator", "../images", []string{"../engines"}, []string{"kustomization.yaml"}},
		{"", "images", []string{"engines"}, []string{"kustomization.yaml"}},
	} {
		k := read(step.path)
		c.ConfigMapGenerator = append(c.ConfigMapGenerator, k.ConfigMapGenerator...)
		if c.Namespace = k.Namespace; k.Namespace != "strongroom" || !slices.Equal(k.Components, []string{step.images}) {
			t.Errorf("kustomization %q: namespace %q, components %q", step.path, k.Namespace, k.Components)
		}
		files, err := filepath.Glob(filepath.Join(dir, step.path, "*.yaml"))
		check(t, err)
		want := slices.Clone(step.on)
		for _, path := range files {
			file := filepath.Base(path)
			if slices.Contains(step.rest, file) {
				continue
			}
			want = append(want, file)
			text, err := os.ReadFile(path)
			check(t, err)
			for doc := range strings.SplitSeq("\n"+string(text), "\n---\n") {
				c.add(t, step.path, file, []byte(doc))
			}
		}
		slices.Sort(want)
		if have := slices.Sorted(slices.Values(k.Resources)); !slices.Equal(have, want) {
			t.Errorf("kustomization %q names %q, and there are %q", step.path, have, want)
		}
	}
	return c
}

func (c *cluster) add(t *testing.T, step, file string, doc []byte) {
	t.Helper()
	kind := struct {
		meta.TypeMeta `json:",inline"`
	}{}
	check(t, yaml.Unmarshal(doc, &kind))
	switch kind.APIVersion + " " + kind.Kind {
	case "v1 Namespace":
		if n := decode[core.Namespace](t, file, doc); n.Name != c.Namespace || n.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
			t.Errorf("namespace %s: %v", n.Name, n.Labels)
		}
	case "v1 ServiceAccount":
		v := decode[core.ServiceAccount](t, file, doc)
		c.accounts[v.Name] = v
	case "v1 Service":
		v := decode[core.Service](t, file, doc)
		c.services[v.Name] = v
	case "policy/v1 PodDisruptionBudget":
		v := decode[policy.PodDisruptionBudget](t, file, doc)
		c.budgets[v.Name] = v
	case "networking.k8s.io/v1 NetworkPolicy":
		v := decode[networking.NetworkPolicy](t, file, doc)
		c.policies[v.Name] = v
	case "apps/v1 StatefulSet":
		v := decode[apps.StatefulSet](t, file, doc)
		w := workload{name: v.Name, replicas: *v.Spec.Replicas, selector: v.Spec.Selector, labels: v.Spec.Template.Labels, pod: v.Spec.Template.Spec, step: step}
		for _, claim := range v.Spec.VolumeClaimTemplates {
			w.claims = append(w.claims, claim.Name)
		}
		c.workloads[v.Name] = w
	case "apps/v1 Deployment":
		v := decode[apps.Deployment](t, file, doc)
		c.workloads[v.Name] = workload{name: v.Name, replicas: *v.Spec.Replicas, selector: v.Spec.Selector, labels: v.Spec.Template.Labels, pod: v.Spec.Template.Spec, step: step}
		if v.Name == "trillian-signer" && (*v.Spec.Replicas != 1 || v.Spec.Strategy.Type != apps.RecreateDeploymentStrategyType) {
			t.Error("there may be two signers of one tree")
		}
	case "batch/v1 Job":
		v := decode[batch.Job](t, file, doc)
		c.workloads[v.Name] = workload{name: v.Name, replicas: 1, labels: v.Spec.Template.Labels, pod: v.Spec.Template.Spec, step: step}
	case "v1 Pod":
		v := decode[core.Pod](t, file, doc)
		c.workloads[v.Name] = workload{name: v.Name, replicas: 1, labels: v.Labels, pod: v.Spec, step: step}
	case "v1 PersistentVolumeClaim":
		v := decode[core.PersistentVolumeClaim](t, file, doc)
		c.volumes = append(c.volumes, v.Name)
	default:
		t.Errorf("%s: nobody expects a %s %s", file, kind.APIVersion, kind.Kind)
	}
}

// selects reports whether a selector is one of these labels.
func selects(t *testing.T, s *meta.LabelSelector, labels map[string]string) bool {
	t.Helper()
	selector, err := meta.LabelSelectorAsSelector(s)
	check(t, err)
	return selector.Matches(set(labels))
}

// set is labels as selectors ask for them.
type set map[string]string

func (s set) Has(label string) bool   { _, ok := s[label]; return ok }
func (s set) Get(label string) string { return s[label] }
func (s set) Lookup(label string) (value string, exists bool) {
	value, exists = s[label]
	return value, exists
}

func (w workload) port(p intstr.IntOrString) bool {
	for _, container := range w.pod.Containers {
		for _, have := range container.Ports {
			if p.Type == intstr.String && have.Name == p.StrVal || p.Type == intstr.Int && have.ContainerPort == p.IntVal {
				return true
			}
		}
	}
	return false
}

// Every pod is shut in and bounded, and speaks to no API.
func TestKubernetesHardened(t *testing.T) {
	c := manifests(t)
	if len(c.workloads) != 5 {
		t.Errorf("workloads: %v", slices.Sorted(maps.Keys(c.workloads)))
	}
	yes := func(p *bool) bool { return p != nil && *p }
	no := func(p *bool) bool { return p != nil && !*p }
	for name, w := range c.workloads {
		s := w.pod.SecurityContext
		account, known := c.accounts[w.pod.ServiceAccountName]
		switch {
		case s == nil || !yes(s.RunAsNonRoot) || s.RunAsUser == nil || *s.RunAsUser == 0 || s.SeccompProfile == nil || s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault:
			t.Errorf("%s: its pod's security context is not what it must be", name)
		case !known || !no(account.AutomountServiceAccountToken) || !no(w.pod.AutomountServiceAccountToken):
			t.Errorf("%s has a token of the cluster's", name)
		case w.pod.HostNetwork || w.pod.HostPID || w.pod.HostIPC:
			t.Errorf("%s is on its host", name)
		}
		if w.selector != nil && !selects(t, w.selector, w.labels) {
			t.Errorf("%s does not select its own pods", name)
		}
		for _, container := range w.pod.Containers {
			s := container.SecurityContext
			if s == nil || !yes(s.ReadOnlyRootFilesystem) || !no(s.AllowPrivilegeEscalation) || s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) || len(s.Capabilities.Add) > 0 {
				t.Errorf("%s/%s: its security context is not what it must be", name, container.Name)
			}
			if container.Resources.Limits.Memory().IsZero() || container.Resources.Requests.Cpu().IsZero() {
				t.Errorf("%s/%s is not bounded", name, container.Name)
			}
			if len(container.Env) > 0 || len(container.EnvFrom) > 0 {
				t.Errorf("%s/%s has an environment, which is no place for secrets", name, container.Name)
			}
			for _, probe := range []*core.Probe{container.StartupProbe, container.LivenessProbe, container.ReadinessProbe} {
				if w.selector == nil || probe == nil && container.Name != "strongroomd" {
					continue
				}
				switch {
				case probe == nil:
					t.Errorf("%s is not probed", name)
				case probe.HTTPGet != nil && !w.port(probe.HTTPGet.Port) || probe.TCPSocket != nil && !w.port(probe.TCPSocket.Port):
					t.Errorf("%s is probed at a port that it has not", name)
				}
			}
			if w.selector != nil && (container.LivenessProbe == nil || container.ReadinessProbe == nil) {
				t.Errorf("%s is not probed", name)
			}
		}
	}
}

// What is named is there: volumes, secrets that README has the operator make, configuration, pods behind services and budgets.
func TestKubernetesReferences(t *testing.T) {
	c := manifests(t)
	readme, err := os.ReadFile(filepath.Join(folder, "README.md"))
	check(t, err)
	// Each is made before what needs it is applied, in the order of the text.
	applied := map[string]int{}
	for _, step := range []string{"engines", "operator", ""} {
		command := strings.TrimSuffix("kubectl apply -k kubernetes/"+step, "/") + "\n"
		if applied[step] = strings.Index(string(readme), command); applied[step] < 0 && step != "engines" {
			t.Errorf("README does not say: %s", command)
		}
	}
	applied["engines"] = applied["operator"] // which brings them along
	made := func(w workload, kind, name string) bool {
		at := strings.Index(string(readme), fmt.Sprintf("create %s %s ", kind, name))
		return at >= 0 && at < applied[w.step]
	}
	generated := map[string]bool{}
	for _, g := range c.ConfigMapGenerator {
		generated[g.Name] = true
		for _, file := range g.Files {
			_, path, _ := strings.Cut(file, "=")
			if _, err := os.Stat(filepath.Join(folder, "kubernetes", "engines", path)); err != nil {
				t.Errorf("%s: %v", g.Name, err)
			}
		}
	}
	images := map[string]bool{}
	for _, image := range c.Images {
		images[image.Name] = true
	}
	for name, w := range c.workloads {
		volumes := slices.Clone(w.claims)
		for _, v := range w.pod.Volumes {
			volumes = append(volumes, v.Name)
			if v.PersistentVolumeClaim != nil && !slices.Contains(c.volumes, v.PersistentVolumeClaim.ClaimName) {
				t.Errorf("%s: nobody makes the volume %s", name, v.PersistentVolumeClaim.ClaimName)
			}
			if v.Secret != nil && !made(w, "secret generic", v.Secret.SecretName) && !made(w, "secret tls", v.Secret.SecretName) {
				t.Errorf("%s: README does not have the secret %s made before it is needed", name, v.Secret.SecretName)
			}
			if v.ConfigMap != nil && !generated[v.ConfigMap.Name] && !made(w, "configmap", v.ConfigMap.Name) {
				t.Errorf("%s: nobody makes the map %s", name, v.ConfigMap.Name)
			}
		}
		for _, container := range w.pod.Containers {
			if !images[container.Image] {
				t.Errorf("%s: the kustomization does not say which image %s is", name, container.Image)
			}
			mounted := map[string]bool{}
			for _, m := range container.VolumeMounts {
				mounted[m.Name] = true
				if !slices.Contains(volumes, m.Name) {
					t.Errorf("%s mounts %s, which it has not", name, m.Name)
				}
			}
			for _, v := range volumes {
				if !mounted[v] {
					t.Errorf("%s has %s and mounts it nowhere", name, v)
				}
			}
			for _, arg := range container.Args {
				if _, file, ok := strings.Cut(arg, "/run/secrets/"); ok && !under(container.VolumeMounts, "/run/secrets/"+file) {
					t.Errorf("%s is to read %s, where nothing is mounted", name, arg)
				}
			}
		}
	}
	for name, s := range c.services {
		found := false
		for _, w := range c.workloads {
			if selects(t, &meta.LabelSelector{MatchLabels: s.Spec.Selector}, w.labels) {
				found = true
				for _, port := range s.Spec.Ports {
					if !w.port(port.TargetPort) {
						t.Errorf("service %s: %s has no port %s", name, w.name, port.TargetPort.String())
					}
				}
			}
		}
		if !found {
			t.Errorf("service %s selects nobody", name)
		}
	}
	for name, w := range c.workloads {
		if w.replicas > 1 && (c.budgets[name].Spec.Selector == nil || !selects(t, c.budgets[name].Spec.Selector, w.labels)) {
			t.Errorf("%s has no disruption budget", name)
		}
	}
}

func under(mounts []core.VolumeMount, path string) bool {
	return slices.ContainsFunc(mounts, func(m core.VolumeMount) bool { return strings.HasPrefix(path, m.MountPath+"/") })
}

// Nobody reaches anybody by default; of Trillian only its server, and only by the replicas; of the replicas people's port only by the proxy, and
// that of the metrics only by monitoring.
func TestKubernetesNetwork(t *testing.T) {
	c := manifests(t)
	nobody := c.policies["nobody"].Spec
	if len(nobody.PodSelector.MatchLabels)+len(nobody.PodSelector.MatchExpressions)+len(nobody.Ingress)+len(nobody.Egress) > 0 || len(nobody.PolicyTypes) != 2 {
		t.Errorf("what nothing else allows is not refused: %+v", nobody)
	}
	reached := map[string][]string{}
	for name, p := range c.policies {
		selected := 0
		for _, w := range c.workloads {
			if !selects(t, &p.Spec.PodSelector, w.labels) {
				continue
			}
			selected++
			for _, rule := range p.Spec.Ingress {
				for _, port := range rule.Ports {
					if !w.port(*port.Port) {
						t.Errorf("%s: %s has no port %s", name, w.name, port.Port.String())
					}
					for _, from := range rule.From {
						who := slices.Collect(maps.Values(from.PodSelector.MatchLabels))
						if from.NamespaceSelector == nil && !slices.ContainsFunc(slices.Collect(maps.Values(c.workloads)), func(w workload) bool { return selects(t, from.PodSelector, w.labels) }) {
							t.Errorf("%s lets in nobody that is there: %q", name, who)
						}
						reached[w.name+" "+port.Port.String()] = append(reached[w.name+" "+port.Port.String()], who...)
					}
				}
			}
			for _, rule := range p.Spec.Egress {
				if len(rule.To) == 0 || len(rule.Ports) == 0 {
					t.Errorf("%s lets out to everybody", name)
				}
			}
		}
		if selected == 0 {
			t.Errorf("policy %s is nobody's", name)
		}
	}
	want := map[string][]string{"strongroomd https": {"proxy"}, "strongroomd metrics": {"prometheus"}, "trillian-server grpc": {"strongroomd", "operator"}}
	if !maps.EqualFunc(reached, want, slices.Equal) {
		t.Errorf("reached by: %v", reached)
	}
}

// Programs know what they are told, the configuration is right, and a replica has the time it needs to end.
func TestKubernetesCommands(t *testing.T) {
	c := manifests(t)
	for _, w := range c.workloads {
		for _, container := range w.pod.Containers {
			name := container.Image
			if w.name == "operator" {
				continue // it sleeps
			}
			if len(container.Command) > 0 {
				name = strings.TrimPrefix(container.Command[0], "/")
			}
			accepted(t, name, container.Args...)
		}
	}
	dir, _ := composed(t)
	made := filepath.Join(dir, "secrets") + "/"
	file := filepath.Join(folder, "kubernetes", "engines", "config.yaml")
	checked(t, file, "/run/secrets/tls/tls.crt", made+"replica.pem", "/run/secrets/tls/tls.key", made+"replica.key", "/run/secrets/records/url", made+"records.url",
		"/run/secrets/authorities/log.pem", made+"ca.pem", "/run/secrets/objects/credentials", made+"s3")
	text, err := os.ReadFile(file)
	check(t, err)
	config := struct {
		Serve struct{ Drain string }
	}{}
	check(t, yaml.Unmarshal(text, &config))
	drain, err := time.ParseDuration(config.Serve.Drain)
	check(t, err)
	pod := c.workloads["strongroomd"].pod
	ready := pod.Containers[0].ReadinessProbe
	if noticed := time.Duration(ready.PeriodSeconds*ready.FailureThreshold) * time.Second; drain < noticed {
		t.Errorf("a replica drains for %s, and until it is noticed %s may pass", drain, noticed)
	}
	const underWay = 20 * time.Second // that the server gives requests
	if grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; grace < drain+underWay+10*time.Second {
		t.Errorf("a replica is killed after %s", grace)
	}
}
