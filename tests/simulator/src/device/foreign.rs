//! Servers that are no recorders.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::fault::ForeignServer;

/// What an SSH server says first.
const SSH_BANNER: &[u8] = b"SSH-2.0-OpenSSH_9.2p1\r\n";
/// What a web server says to something that is no HTTP request.
const HTTP_REFUSAL: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// Plays the server until the client closes.
pub(crate) async fn play(server: ForeignServer, stream: &mut TcpStream) {
    let mut heard = [0; 512];
    let outcome = async {
        match server {
            ForeignServer::Ssh => {
                stream.write_all(SSH_BANNER).await?;
                while stream.read(&mut heard).await? > 0 {}
            }
            ForeignServer::Http => {
                if stream.read(&mut heard).await? > 0 {
                    stream.write_all(HTTP_REFUSAL).await?;
                }
            }
        }
        stream.shutdown().await
    };
    // Whatever goes wrong here is the client's doing and ends the connection.
    let _: std::io::Result<()> = outcome.await;
}
