package main

import (
	"encoding/json"

	"github.com/joho/godotenv"
)

// The variables of a dotenv file as KSOPS reads them, after sops: a JSON object of base64.
func variables(text []byte) ([]byte, error) {
	read, err := godotenv.UnmarshalBytes(text)
	if err != nil {
		return nil, err
	}
	variables := map[string][]byte{}
	for name, value := range read {
		variables[name] = []byte(value)
	}
	return json.Marshal(variables)
}
