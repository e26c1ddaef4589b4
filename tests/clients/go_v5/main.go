// Eclipse Paho's Go client for MQTT 5.0 (autopaho) as README "Once, and not twice" sets it. Arguments: see
// ../README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/session"
	"github.com/eclipse/paho.golang/paho/session/state"
	"github.com/eclipse/paho.golang/paho/store/file"
)

const window = 20

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	flags := flag.NewFlagSet("publish", flag.ExitOnError)
	port := flags.Int("port", 0, "")
	id := flags.String("id", "", "")
	flags.String("mqtt", "5", "")
	qos := flags.Int("qos", 0, "")
	start := flags.Int("start", 1, "")
	count := flags.Int("count", 0, "")
	store := flags.String("store", "", "")
	will := flags.Bool("will", false, "")
	flags.Parse(os.Args[2:])
	topic := "clients/" + *id

	sent, err := file.New(*store, "out-", ".pk")
	must(err)
	received, err := file.New(*store, "in-", ".pk")
	must(err)
	server, _ := url.Parse(fmt.Sprintf("mqtt://127.0.0.1:%d", *port))
	settings := autopaho.ClientConfig{
		ServerUrls:                    []*url.URL{server},
		KeepAlive:                     30,
		CleanStartOnInitialConnection: false,
		SessionExpiryInterval:         3600,
		ReconnectBackoff:              autopaho.NewConstantBackoff(100 * time.Millisecond),
		ClientConfig: paho.ClientConfig{
			ClientID: *id, Session: state.New(sent, received), PacketTimeout: time.Minute,
		},
	}
	if *will {
		settings.WillMessage = &paho.WillMessage{Topic: topic, Payload: []byte(*id + " will"), QoS: byte(*qos)}
	}
	background := context.Background()
	manager, err := autopaho.NewConnection(background, settings)
	must(err)
	room := make(chan bool, window)
	var all sync.WaitGroup
	publish := func(number int) {
		defer func() { <-room; all.Done() }()
		message := &paho.Publish{Topic: topic, QoS: byte(*qos), Payload: []byte(fmt.Sprintf("%s %d", *id, number))}
		for {
			must(manager.AwaitConnection(background))
			_, err := manager.Publish(background, message)
			if err == nil {
				fmt.Println("acked", number)
				return
			}
			if !errors.Is(err, autopaho.ConnectionDownError) && !errors.Is(err, session.ErrNoConnection) {
				must(err)
			}
			time.Sleep(10 * time.Millisecond) // it is not in the session: given again
		}
	}
	for number := *start; number < *start+*count; number++ {
		room <- true
		all.Add(1)
		go publish(number)
	}
	all.Wait()
	if *will {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	must(manager.Disconnect(background))
}
