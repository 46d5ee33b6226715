// The real Argo CD parts that render an Application, behind one command for tests:
//
//	argocd-cmp server    argocd-cmp-server itself (also under the name argocd-cmp-server)
//	argocd-cmp call      one gRPC call to it: match, params or generate; streams a directory as repo-server does
//	argocd-cmp render    what repo-server runs after a checkout: chooses the plugin (or its own kustomize), builds the
//	                     environment, streams the repository, reads the manifests
//	argocd-cmp lint      reads manifests strictly, as Argo CD and Kubernetes would with every unknown field an error, and
//	                     asks each Application's AppProject whether it may have its source and destination
//
// The answer is JSON on stdout. A failure is one JSON object {"code","message"}, the last line of stderr, and exit 1.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	log "github.com/sirupsen/logrus"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"k8s.io/apimachinery/pkg/api/resource"

	cmpserver "github.com/argoproj/argo-cd/v3/cmd/argocd-cmp-server/commands"
	cmpclient "github.com/argoproj/argo-cd/v3/cmpserver/apiclient"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/reposerver/apiclient"
	"github.com/argoproj/argo-cd/v3/reposerver/repository"
	apppath "github.com/argoproj/argo-cd/v3/util/app/path"
	"github.com/argoproj/argo-cd/v3/util/askpass"
	"github.com/argoproj/argo-cd/v3/util/cmp"
	utilio "github.com/argoproj/argo-cd/v3/util/io"
)

func main() {
	if err := run(); err != nil {
		report := map[string]string{"code": status.Code(errors.Unwrap(err)).String(), "message": err.Error()}
		line, _ := json.Marshal(report)
		fmt.Fprintf(os.Stderr, "%s\n", line)
		os.Exit(1)
	}
}

func run() error {
	if filepath.Base(os.Args[0]) == "argocd-cmp-server" {
		return serve(os.Args[1:])
	}
	if len(os.Args) < 2 {
		return errors.New("usage: argocd-cmp server|call|render|lint")
	}
	switch command, args := os.Args[1], os.Args[2:]; command {
	case "server":
		return serve(args)
	case "call":
		return call(args)
	case "render":
		return render(args)
	case "lint":
		return lint(args)
	default:
		return fmt.Errorf("no such command: %s", command)
	}
}

func serve(args []string) error {
	server := cmpserver.NewCommand()
	server.SetArgs(args)
	return server.Execute()
}

// A flag that may be given several times.
type list []string

func (l *list) String() string     { return fmt.Sprint(*l) }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func print(answer any) error {
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(answer)
}

func call(args []string) error {
	flags := flag.NewFlagSet("call", flag.ContinueOnError)
	socket := flags.String("socket", "", "the server's socket")
	method := flags.String("method", "generate", "check, match, params or generate")
	root := flags.String("root", "", "the directory to stream")
	app := flags.String("app", ".", "the app's directory, relative to root")
	timeout := flags.Duration("timeout", 60*time.Second, "the deadline that the server is told")
	var env, exclude list
	flags.Var(&env, "env", "NAME=VALUE, sent along")
	flags.Var(&exclude, "exclude", "a glob of files not to stream")
	if err := flags.Parse(args); err != nil {
		return err
	}

	conn, client, err := cmpclient.NewConfigManagementPluginClientSet(*socket).NewConfigManagementPluginClient()
	if err != nil {
		return err
	}
	defer utilio.Close(conn)
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	send := func(stream cmp.StreamSender) error {
		return cmp.SendRepoStream(ctx, filepath.Join(*root, *app), *root, stream, env, exclude)
	}

	switch *method {
	case "check":
		answer, err := client.CheckPluginConfiguration(ctx, &emptypb.Empty{})
		if err != nil {
			return wrap(err)
		}
		return print(answer)
	case "match":
		stream, err := client.MatchRepository(ctx)
		if err != nil {
			return wrap(err)
		}
		return finish(send(stream), func() (any, error) { return stream.CloseAndRecv() })
	case "params":
		stream, err := client.GetParametersAnnouncement(ctx)
		if err != nil {
			return wrap(err)
		}
		return finish(send(stream), func() (any, error) { return stream.CloseAndRecv() })
	case "generate":
		stream, err := client.GenerateManifest(ctx)
		if err != nil {
			return wrap(err)
		}
		return finish(send(stream), func() (any, error) { return stream.CloseAndRecv() })
	}
	return fmt.Errorf("no such method: %s", *method)
}

func finish(sent error, receive func() (any, error)) error {
	if sent != nil {
		return sent
	}
	answer, err := receive()
	if err != nil {
		return wrap(err)
	}
	return print(answer)
}

// wrap keeps the gRPC status readable for main.
func wrap(err error) error { return fmt.Errorf("%w", err) }

func render(args []string) error {
	flags := flag.NewFlagSet("render", flag.ContinueOnError)
	root := flags.String("root", "", "the checkout")
	app := flags.String("app", "demo", "the Application's name")
	project := flags.String("project", "default", "its AppProject")
	namespace := flags.String("namespace", "demo-ns", "its destination namespace")
	source := flags.String("source", `{"path":"."}`, "spec.source, JSON")
	repo := flags.String("repo", `{"repo":"https://git.example.com/org/repo.git"}`, "the repository and its credentials, JSON")
	paths := flags.String("manifest-generate-paths", "", "the annotation's value; the stream is narrowed to it")
	kustomize := flags.String("kustomize-options", "", "kustomize.buildOptions and the like, JSON")
	level := flags.String("log", "info", "log level")
	timeout := flags.Duration("timeout", 60*time.Second, "the deadline")
	var exclude list
	flags.Var(&exclude, "exclude", "reposerver.plugin.tar.exclusions")
	if err := flags.Parse(args); err != nil {
		return err
	}
	parsed, err := log.ParseLevel(*level)
	if err != nil {
		return err
	}
	log.SetLevel(parsed)

	// Before anything else, repo-server refuses a checkout with symlinks that leave it.
	if err := apppath.CheckOutOfBoundsSymlinks(*root); err != nil {
		return fmt.Errorf("repository contains out-of-bounds symlinks: %w", err)
	}

	request := &apiclient.ManifestRequest{
		Repo:                            &v1alpha1.Repository{},
		ApplicationSource:               &v1alpha1.ApplicationSource{},
		AppName:                         *app,
		AppLabelKey:                     "app.kubernetes.io/instance",
		TrackingMethod:                  "annotation",
		ProjectName:                     *project,
		Namespace:                       *namespace,
		KubeVersion:                     "1.33.1",
		ApiVersions:                     []string{"v1", "apps/v1"},
		AnnotationManifestGeneratePaths: *paths,
	}
	if err := json.Unmarshal([]byte(*source), request.ApplicationSource); err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(*repo), request.Repo); err != nil {
		return err
	}
	if *kustomize != "" {
		request.KustomizeOptions = &v1alpha1.KustomizeOptions{}
		if err := json.Unmarshal([]byte(*kustomize), request.KustomizeOptions); err != nil {
			return err
		}
	}

	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	tarDone := make(chan bool, 1)
	go func() {
		for range tarDone {
		}
	}()
	answer, err := repository.GenerateManifests(ctx,
		filepath.Join(*root, request.ApplicationSource.Path), *root, "0123456789abcdef0123456789abcdef01234567", request,
		false, askpass.NewServer(filepath.Join(os.TempDir(), "askpass.sock")), resource.MustParse("10M"),
		utilio.NewRandomizedTempPaths(os.TempDir()),
		repository.WithCMPTarDoneChannel(tarDone),
		repository.WithCMPTarExcludedGlobs(exclude),
		repository.WithCMPUseManifestGeneratePaths(*paths != ""))
	if err != nil {
		return wrap(err)
	}
	return print(answer)
}
