<?php
    function sendViaWebsocket($json){
        $socket = stream_socket_client('unix:///tmp/myapp.sock');
        fwrite($socket, $json);
        $response = fread($socket, 8192);
        return $response;
    }
