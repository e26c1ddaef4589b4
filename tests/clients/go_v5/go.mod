module milepost.test/go_v5

go 1.21

require github.com/eclipse/paho.golang v0.22.0

require (
	github.com/gorilla/websocket v1.5.3 // indirect
	golang.org/x/net v0.27.0 // indirect
)
