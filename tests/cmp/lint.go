package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/runtime/serializer"
	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"github.com/argoproj/argo-cd/v3/cmpserver/plugin"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
)

// lint reads every document of the files. On stdout: how many there were.
func lint(files []string) error {
	projects := map[string]v1alpha1.AppProject{}
	var applications []v1alpha1.Application
	documents := 0
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		reader := kubeyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
		for {
			document, err := reader.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			if len(bytes.TrimSpace(document)) == 0 {
				continue
			}
			documents++
			var head struct {
				APIVersion string `json:"apiVersion"`
				Kind       string `json:"kind"`
			}
			if err := yaml.Unmarshal(document, &head); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			switch {
			case head.Kind == plugin.ConfigManagementPluginKind:
				var config plugin.PluginConfig
				if err := yaml.UnmarshalStrict(document, &config); err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
				if err := plugin.ValidatePluginConfig(config); err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
			case head.APIVersion == "argoproj.io/v1alpha1" && head.Kind == "AppProject":
				var project v1alpha1.AppProject
				if err := yaml.UnmarshalStrict(document, &project); err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
				if err := project.ValidateProject(); err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
				projects[project.Name] = project
			case head.APIVersion == "argoproj.io/v1alpha1" && head.Kind == "Application":
				var application v1alpha1.Application
				if err := yaml.UnmarshalStrict(document, &application); err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
				applications = append(applications, application)
			case head.Kind == "CustomResourceDefinition":
				// Argo CD's own, in an installation that is being patched.
			default:
				codecs := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict)
				if _, _, err := codecs.UniversalDeserializer().Decode(document, nil, nil); err != nil {
					return fmt.Errorf("%s: %w", file, err)
				}
			}
		}
	}
	for _, application := range applications {
		project, ok := projects[application.Spec.Project]
		if !ok {
			return fmt.Errorf("Application %s: no such project: %s", application.Name, application.Spec.Project)
		}
		if source := application.Spec.GetSource(); !project.IsSourcePermitted(source) {
			return fmt.Errorf("Application %s: its project does not permit %s", application.Name, source.RepoURL)
		}
		clusters := func(string) ([]*v1alpha1.Cluster, error) { return nil, nil }
		permitted, err := project.IsDestinationPermitted(
			&v1alpha1.Cluster{Server: application.Spec.Destination.Server}, application.Spec.Destination.Namespace, clusters)
		if err != nil || !permitted {
			return fmt.Errorf("Application %s: its project does not permit its destination", application.Name)
		}
	}
	return print(map[string]int{"documents": documents})
}
